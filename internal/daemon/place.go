package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/placement"
)

// maxNamed is how many files a refusal names.
const maxNamed = 20

// eachPath carries out do for every path of a request; what fails is told in its item.
func (d *daemon) eachPath(req controlapi.PlaceRequest, do func(e namespace.Entry, item *controlapi.PlaceItem) error) (controlapi.PlaceResult, error) {
	res := controlapi.PlaceResult{Items: []controlapi.PlaceItem{}}
	for _, path := range req.Paths {
		item := controlapi.PlaceItem{Path: path}
		e, err := d.resolve(path)
		if err == nil {
			err = do(e, &item)
			d.describe(e, &item)
		}
		if err != nil && item.Refused == nil {
			item.Refused = d.refusal(err, path)
		}
		res.Items = append(res.Items, item)
	}
	return res, nil
}

// describe fills in how a path stands now.
func (d *daemon) describe(e namespace.Entry, item *controlapi.PlaceItem) {
	item.Placement, _ = d.placementOf(e.ID)
	item.Complete = true
	for _, f := range d.placement.Files(e.ID) {
		item.Files++
		item.Size += int64(f.Content.Size)
		if item.Complete {
			_, item.Complete, _ = d.local(context.Background(), f.Content)
		}
		if item.Waits == "" && d.placement.Waits(f.ID) {
			item.Waits = d.pinsWait()
		}
	}
}

// refusal words why a path could not be done.
func (d *daemon) refusal(err error, path string) *controlapi.Refusal {
	r := &controlapi.Refusal{Kind: controlapi.SlugOf(errs.KindOf(err)), Reason: controlapi.Describe(err), Paths: []string{path}}
	switch errs.KindOf(err) {
	case errs.NoSpace:
		r.Reason = noRoom(err)
	case errs.Offline:
		r.Reason = "no connected device has all of it; it comes when one that has it connects"
	}
	return r
}

// noRoom words a NoSpace by what is full.
func noRoom(err error) string {
	var no *placement.NoRoom
	if !errors.As(err, &no) { // met while writing
		return "the disk is full: make some room on it"
	}
	what, help := "the cache's limit", "raise it (shelf down; shelf up --cache-size SIZE), or unpin something"
	switch {
	case no.ByDisk():
		what, help = "the disk", "make some room on it, or unpin something"
	case no.ByQuota():
		what, help = "the quota of pins", "unpin something, or raise it (pin_quota in config.toml, or a larger --cache-size; then shelf down; shelf up)"
	}
	if no.Need == 0 {
		return what + " leaves no room to keep it: " + help
	}
	return what + " leaves room for " + config.FormatSize(no.Left()) + ", and it takes " + config.FormatSize(no.Need) + ": " + help
}

// Pin implements control.Placer.
func (d *daemon) Pin(ctx context.Context, req controlapi.PlaceRequest, progress func(controlapi.Progress)) (controlapi.PlaceResult, error) {
	return d.eachPath(req, func(e namespace.Entry, item *controlapi.PlaceItem) error {
		if err := d.saved(ctx); err != nil {
			return err
		}
		var from map[ident.DeviceID]int64
		d.guest.Fresh(ctx) // what it says of waiting is to be true
		defer func() {
			if item.MovedBytes > 0 {
				d.gate.Ledger().Pinned(e.ID, item.MovedBytes, from)
			}
		}()
		return d.placement.Pin(ctx, e.ID, req.Wait, func(p placement.Progress) {
			item.MovedBlocks, item.MovedBytes, from = p.Blocks, p.Bytes, p.From
			progress(controlapi.Progress{Path: item.Path, Blocks: p.Blocks, TotalBlocks: p.TotalBlocks, Bytes: p.Bytes})
		})
	})
}

// Unpin implements control.Placer.
func (d *daemon) Unpin(ctx context.Context, req controlapi.PlaceRequest) (controlapi.PlaceResult, error) {
	return d.eachPath(req, func(e namespace.Entry, _ *controlapi.PlaceItem) error { return d.placement.Unpin(e.ID) })
}

// Free implements control.Placer.
func (d *daemon) Free(ctx context.Context, req controlapi.PlaceRequest, progress func(controlapi.Progress)) (controlapi.PlaceResult, error) {
	return d.eachPath(req, func(e namespace.Entry, item *controlapi.PlaceItem) error {
		if err := d.saved(ctx); err != nil {
			return err
		}
		files := d.placement.Files(e.ID)
		for _, f := range files {
			d.unwarm(f.ID)
		}
		d.placement.Free(ctx, files, func(f namespace.Entry, got placement.Freed, err error) {
			item.MovedBlocks += got.Blocks
			item.MovedBytes += got.Bytes
			item.KeptBlocks += got.KeptBlocks
			item.KeptBytes += got.KeptBytes
			if err != nil {
				d.notFreed(item, f, err)
			}
			progress(controlapi.Progress{Path: item.Path, Blocks: item.MovedBlocks, Bytes: item.MovedBytes})
		})
		if e.Kind == namespace.Dir {
			return d.placement.Cloud(e.ID)
		}
		return nil
	})
}

// notFreed adds one file to the refusal of an item.
func (d *daemon) notFreed(item *controlapi.PlaceItem, f namespace.Entry, err error) {
	if item.Refused == nil {
		item.Refused = &controlapi.Refusal{Kind: controlapi.SlugOf(errs.KindOf(err)), Reason: controlapi.Describe(err), Paths: []string{}}
		switch errs.KindOf(err) {
		case errs.Refused:
			item.Refused.Kind = controlapi.KindOnlyCopy
			item.Refused.Reason = "no connected device keeps a full copy, so this may be the last one; pin it on another device first (shelf pin, there), or run: shelf sync --wait"
		case errs.Offline:
			item.Refused.Reason = "no other device is connected that could say that it keeps a copy"
		}
	}
	if path, perr := d.names.Path(f.ID); perr == nil && len(item.Refused.Paths) < maxNamed {
		item.Refused.Paths = append(item.Refused.Paths, "/"+path)
	}
}

// saved commits what programs have written and closed, so that decisions are made about the
// newest contents.
func (d *daemon) saved(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return d.fs.Sync(ctx)
}
