package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// tableLost: block, node → empty. The block was damaged here before another device surely had it.
const tableLost = 'L'

// lostPause is how long damage is gathered before it is looked to whom it belongs: it seldom comes alone.
const lostPause = 100 * time.Millisecond

// lostBlock is a block of the file that the node was when it was damaged.
type lostBlock struct {
	block digest
	node  namespace.NodeID
}

// lost remembers damaged blocks of which no other device surely has a copy, over restarts, until they are
// here again, or no file written here needs them any more.
type lost struct {
	db    *kv.DB
	store *cache.Store
	log   *slog.Logger
	wake  chan struct{}

	mu    sync.Mutex
	found []digest // not yet looked at; no more than maxGone
	rows  map[lostBlock]bool
}

func (l *lost) key(b lostBlock) kv.Key {
	return l.db.Key(tableLost, kv.Plain(b.block[:]), kv.Plain(b.node[:]))
}

func (l *lost) load(db *kv.DB, log *slog.Logger) error {
	l.db, l.log, l.rows, l.wake = db, log, map[lostBlock]bool{}, make(chan struct{}, 1)
	prefix := db.Key(tableLost)
	return db.ScanKeys(prefix, func(k kv.Key) bool {
		var b lostBlock
		if k = k[len(prefix):]; len(k) == len(b.block)+len(b.node) {
			copy(b.node[:], k[copy(b.block[:], k):])
			l.rows[b] = true
		}
		return true
	})
}

// damaged is told by the store, which may hold what it likes.
func (l *lost) damaged(d digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.found) < maxGone {
		l.found = append(l.found, d)
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lost) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			pause(ctx, lostPause)
		}
		if err := l.assign(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("it is not noted which files were damaged", "err", err)
		}
	}
}

// assign finds the files to which damaged blocks belong.
func (l *lost) assign(ctx context.Context) error {
	l.mu.Lock()
	ds := map[digest]bool{}
	for _, d := range l.found {
		ds[d] = true
	}
	l.found = nil
	l.mu.Unlock()
	b := l.db.Batch()
	defer b.Close()
	for node, err := range l.store.Owners(cache.Written) {
		if err != nil {
			return err
		}
		for d, err := range l.store.Owned(cache.Owner{Kind: cache.Written, Node: node}) {
			if err = cmp.Or(err, ctx.Err()); err != nil {
				return err
			}
			row := lostBlock{d, node}
			if !ds[d] || !l.needed(row) {
				continue
			}
			l.mu.Lock()
			l.rows[row] = true
			l.mu.Unlock()
			if err := b.Set(l.key(row), nil); err != nil {
				return err
			}
		}
	}
	return b.Commit(kv.Sync)
}

// needed reports whether the file has the block, and it is not here.
func (l *lost) needed(b lostBlock) bool {
	owns, err := l.store.Owns(cache.Owner{Kind: cache.Written, Node: b.node}, b.block)
	if err != nil || !owns {
		return false
	}
	c, err := l.store.Class(b.block)
	return err == nil && c == cache.None
}

// files counts the lost blocks of each file that lacks any still.
func (l *lost) files() map[namespace.NodeID]int {
	l.mu.Lock()
	rows := slices.Collect(maps.Keys(l.rows))
	l.mu.Unlock()
	if len(rows) == 0 { // as nearly always
		return nil
	}
	out, over := map[namespace.NodeID]int{}, l.db.Batch()
	defer over.Close()
	for _, b := range rows {
		if l.needed(b) {
			out[b.node]++
			continue
		}
		l.mu.Lock()
		delete(l.rows, b)
		l.mu.Unlock()
		_ = over.Delete(l.key(b))
	}
	if err := over.Commit(kv.NoSync); err != nil {
		l.log.Debug("files that are whole again stay noted", "err", err) // until the next look after a restart
	}
	return out
}

// lacks reports whether a file does.
func (l *lost) lacks(node namespace.NodeID) bool {
	l.mu.Lock()
	rows := slices.Collect(maps.Keys(l.rows))
	l.mu.Unlock()
	return slices.ContainsFunc(rows, func(b lostBlock) bool { return b.node == node && l.needed(b) })
}

// blocks are all that are noted.
func (l *lost) blocks() []digest {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[digest]bool{}
	for b := range l.rows {
		seen[b.block] = true
	}
	return slices.Collect(maps.Keys(seen))
}

// alone reports whether this is the only device of the account: then what is lost here is lost for good.
func (p *parts) alone() bool { return len(p.memberIDs()) == 1 }

// lostFiles lists the files that lack something.
func (d *daemon) lostFiles() []controlapi.LostFile {
	out := []controlapi.LostFile{}
	for node, n := range d.lost.files() {
		path, err := d.names.Path(node)
		if err != nil {
			continue // it is being removed
		}
		out = append(out, controlapi.LostFile{Path: "/" + path, Blocks: int64(n)})
	}
	slices.SortFunc(out, func(a, b controlapi.LostFile) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// mostLost is how many damaged files are told by name.
const mostLost = 5

// lostWarnings says what happened to each, and what can be done.
func (d *daemon) lostWarnings(files []controlapi.LostFile) (out []string) {
	alone := d.alone()
	for _, f := range first(files, mostLost) {
		text := "A part of " + f.Path + " was damaged on this device before another one surely had it. It comes back if one has it: switch on the others."
		if alone {
			text = "The only copy of a part of " + f.Path + " was damaged on this device, and is lost."
		}
		out = append(out, text+" Older versions may be whole: shelf versions "+f.Path+". This is told until the file is written anew or removed.")
	}
	if more := len(files) - len(out); more > 0 {
		out = append(out, "So were parts of "+count(more, "other file", "other files")+": shelf status --json")
	}
	return out
}

// lostReason is what explains a file that lacks something for that reason; "" for others.
func (p *parts) lostReason(f localFile) (reason string, hints []string) {
	if !p.lost.lacks(f.entry.ID) {
		return "", nil
	}
	reason, hints = "a part of it was damaged on this device before another one surely had it", []string{"switch on the other devices: one may have it"}
	if p.alone() {
		reason, hints = "the only copy of a part of it was damaged on this device, and is lost", nil
	}
	return reason, append(hints, "older versions may be whole: shelf versions PATH; it is told until the file is written anew or removed")
}
