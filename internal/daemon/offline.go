package daemon

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/placement"
)

const (
	recentTime  = 14 * 24 * time.Hour // how old a change may be for its file to be recent work
	recentMost  = 500                 // such files, the newest; and as many that were opened here
	offlineMost = 10000               // files that an answer lists
)

// lack is a file that is not whole here.
type lack struct {
	entry   namespace.Entry
	why     string
	missing int64
	refused *controlapi.Refusal
}

// age orders by the newest use that is known.
func (l lack) age() int64 { return max(l.entry.Mtime, l.entry.Atime) }

// Offline implements control.Readier.
func (d *daemon) Offline(ctx context.Context, req controlapi.OfflineRequest, progress func(controlapi.OfflineProgress)) (controlapi.OfflineResult, error) {
	var res controlapi.OfflineResult
	lacks, looked, err := d.lacking(ctx, func(n int64) { progress(controlapi.OfflineProgress{Looked: n}) })
	if err != nil {
		return res, err
	}
	if req.Fix {
		res.FetchedBytes = d.bringAll(ctx, lacks, looked, progress)
	}
	res.Files, res.Looked = []controlapi.OfflineFile{}, looked
	for _, l := range lacks {
		res.MissingBytes += l.missing
		path, err := d.names.Path(l.entry.ID)
		if err != nil { // removed meanwhile
			continue
		}
		if len(res.Files) == offlineMost {
			res.More++
			continue
		}
		res.Files = append(res.Files, controlapi.OfflineFile{Path: "/" + path, Why: l.why, Size: int64(l.entry.Content.Size), Missing: l.missing,
			Mtime: time.Unix(0, l.entry.Mtime), Refused: l.refused})
	}
	res.Ready = res.MissingBytes == 0
	return res, ctx.Err()
}

// lacking lists the pinned files that are not whole here, then the others that matter, the newest
// first. It looks at every name, and at the blocks of those files only.
func (d *daemon) lacking(ctx context.Context, tell func(int64)) (lacks []lack, looked int64, err error) {
	var pinned []lack
	recent, opened := newest{most: recentMost}, newest{most: recentMost}
	since := time.Now().Add(-recentTime).UnixNano()
	err = d.eachFile(ctx, namespace.Root, func(e namespace.Entry) error {
		if looked++; looked%1024 == 0 {
			tell(looked)
		}
		eff, _, err := d.names.Placement(e.ID, d.self())
		switch l := (lack{entry: e}); {
		case err != nil || e.Content.Root.IsZero() || eff == namespace.Cloud: // gone, empty, or not wanted here
		case eff == namespace.Pinned:
			if !d.placement.Whole(e.ID) {
				l.why = controlapi.WhyPinned
				pinned = append(pinned, l)
			}
		case l.age() >= since:
			l.why = controlapi.WhyRecent
			recent.add(l)
		case e.Content.Depth > 0 && d.here(e.Content.Root):
			l.why = controlapi.WhyOpened
			opened.add(l)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, looked, err
	}
	for _, l := range slices.Concat(pinned, recent.sorted(), opened.sorted()) {
		if plain, complete, _ := d.local(ctx, l.entry.Content); !complete {
			l.missing = int64(l.entry.Content.Size) - plain
			lacks = append(lacks, l)
		}
		if err := ctx.Err(); err != nil {
			return nil, looked, err
		}
	}
	return lacks, looked, nil
}

// eachFile visits the regular files below a folder.
func (p *parts) eachFile(ctx context.Context, dir namespace.NodeID, do func(namespace.Entry) error) error {
	for after := uint64(0); ; {
		es, err := p.names.List(dir, after, 1024)
		if errs.Is(err, errs.NotExist) || len(es) == 0 && err == nil {
			return nil
		} else if err != nil {
			return err
		}
		for _, e := range es {
			switch e.Kind {
			case namespace.Dir:
				err = p.eachFile(ctx, e.ID, do)
			case namespace.File:
				err = do(e.Entry)
			}
			if err != nil {
				return err
			}
		}
		after = es[len(es)-1].Cookie
	}
}

// newest keeps those of most files that were used last.
type newest struct {
	most  int
	files []lack
}

func (n *newest) add(l lack) {
	if n.files = append(n.files, l); len(n.files) >= 2*n.most {
		n.files = n.sorted()
	}
}

func (n *newest) sorted() []lack {
	slices.SortFunc(n.files, func(a, b lack) int { return cmp.Compare(b.age(), a.age()) })
	return n.files[:min(len(n.files), n.most)]
}

// bringAll fetches what is missing, file by file, and returns how many bytes came. What is not pinned
// is only taken as long as the cache holds it together with all that came before.
func (d *daemon) bringAll(ctx context.Context, lacks []lack, looked int64, progress func(controlapi.OfflineProgress)) (fetched int64) {
	now := controlapi.OfflineProgress{Looked: looked}
	for _, l := range lacks {
		now.TotalBytes += l.missing
	}
	s := d.cache.Stats()
	room := s.Limit - s.Pinned - s.Staged
	for i := range lacks {
		l := &lacks[i]
		now.Path = l.entry.Name
		progress(now)
		before := l.missing
		var err error
		switch {
		case l.why == controlapi.WhyPinned:
			err = d.placement.Bring(ctx, l.entry, func(p placement.Progress) {
				step := now
				step.Bytes += min(p.Bytes, before)
				progress(step)
			})
			room -= before
		case int64(l.entry.Content.Size) > room:
			err = errs.E("daemon.Offline", errs.NoSpace, "", &placement.NoRoom{Need: int64(l.entry.Content.Size), Limit: max(0, room), Quota: max(0, room), Disk: d.cache.DiskRoom(cache.Fetched)})
		default:
			room -= int64(l.entry.Content.Size)
			err = d.bringOnce(ctx, l.entry, func(n int64) {
				step := now
				step.Bytes += min(n, before)
				progress(step)
			})
		}
		plain, complete, _ := d.local(ctx, l.entry.Content)
		if l.missing = int64(l.entry.Content.Size) - plain; complete {
			l.missing = 0
		} else if ctx.Err() == nil {
			path, _ := d.names.Path(l.entry.ID)
			l.refused = d.refusal(cmp.Or(err, errs.E("daemon.Offline", errs.NoSpace, "", nil)), "/"+path)
		}
		fetched += before - l.missing
		now.Bytes += before
	}
	return fetched
}

// bringOnce fetches a file as cache: it stays while it is used, like one that was read.
func (d *daemon) bringOnce(ctx context.Context, e namespace.Entry, came func(int64)) error {
	var missing []digest
	for b, err := range d.digestsFor(ctx, e.Content, placement.Awaited) {
		if err != nil {
			return err
		}
		if !b.IsZero() && !d.cache.Expect(b) { // what is here should not go for what comes
			missing = append(missing, b)
		}
	}
	var first error
	var n int64
	err := d.groupFor(placement.Awaited).FetchAll(ctx, fetch.Pin, slices.Values(missing), func(b digest, err error) {
		if err != nil {
			first = cmp.Or(first, err)
			return
		}
		if size, err := d.cache.Size(b); err == nil {
			n += int64(size)
			came(n)
		}
	})
	return cmp.Or(err, first)
}
