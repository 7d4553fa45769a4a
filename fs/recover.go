package fs

import (
	"context"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// recover settles what was being written when the process ended. Blocks whose record was
// committed belong to it; those of writes that never got so far are free to go. Where it
// cannot be told apart, blocks stay.
func (fs *FS) recover(ctx context.Context) error {
	for node, err := range fs.cfg.Store.Writing(ctx) {
		if err != nil {
			return err
		}
		keep, err := fs.named(ctx, node)
		if err == nil {
			err = fs.cfg.Store.Settle(ctx, node, keep)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// named lists the blocks of what a node shows.
func (fs *FS) named(ctx context.Context, id namespace.NodeID) ([]blocks.Digest, error) {
	e, err := fs.cfg.Names.Get(id)
	if errs.Is(err, errs.Stale) || err == nil && e.Kind != namespace.File {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ds []blocks.Digest
	for d, err := range content.Digests(ctx, fs.cfg.Blocks, fs.cfg.Sealer, e.Content) {
		if err != nil {
			return nil, err
		}
		ds = append(ds, d)
	}
	return ds, nil
}
