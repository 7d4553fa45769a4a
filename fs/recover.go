package fs

import (
	"context"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// recover settles what was being written when the process ended: blocks that a record
// names belong to it, those of a write that never got so far are free to go.
func (fs *FS) recover(ctx context.Context) error {
	if fs.cfg.Interrupted == nil {
		return nil
	}
	var nodes []namespace.NodeID
	for node, err := range fs.cfg.Interrupted {
		if err != nil {
			return err
		}
		nodes = append(nodes, node)
	}
	for _, id := range nodes {
		keep, err := fs.named(ctx, id)
		if errs.Is(err, errs.Offline) || errs.Is(err, errs.Timeout) {
			continue // what names them is not here: they stay staged, and the next start looks again
		}
		if err == nil {
			err = fs.cfg.Store.Settle(map[[16]byte][]blocks.Digest{id: keep})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// named lists the blocks of what a node shows and of its conflict copies: the interrupted
// write may have become one.
func (fs *FS) named(ctx context.Context, id namespace.NodeID) ([]blocks.Digest, error) {
	e, err := fs.cfg.Names.Get(id)
	if errs.Is(err, errs.Stale) || errs.Is(err, errs.NotExist) || err == nil && e.Kind != namespace.File {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	contents := []blocks.Content{e.Content}
	for after := uint64(0); ; {
		page, err := fs.cfg.Names.List(e.Parent, after, dirBatch)
		if err != nil || len(page) == 0 {
			break // the directory is gone: then so are the copies
		}
		for i := range page {
			if c := page[i].Conflict; c != nil && c.Of == id {
				contents = append(contents, page[i].Content)
			}
		}
		after = page[len(page)-1].Cookie
	}
	var ds []blocks.Digest
	for _, c := range contents {
		for d, err := range content.Digests(ctx, fs.cfg.Blocks, fs.cfg.Sealer, c) {
			if err != nil {
				return nil, err
			}
			ds = append(ds, d)
		}
	}
	return ds, nil
}
