package cache

import (
	"context"
	"path/filepath"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kdf"
	"github.com/shelffs/shelf/internal/kv"
)

// Verify reads the index of the cache in dir, which nobody else may have open, until ctx ends, and
// looks whether there are segments; the blocks themselves the scrub reads. It changes nothing.
// Errors are those of kv.Verify.
func Verify(ctx context.Context, dir string, master [32]byte) error {
	const op = "cache.Verify"
	if err := kv.Verify(ctx, filepath.Join(dir, "index"), kdf.Derive(master[:], kdf.CacheDB), kv.Options{}); err != nil {
		return errs.E(op, errs.Other, "index", err)
	}
	if _, err := newOSDisk(filepath.Join(dir, "segments")).List(); err != nil {
		return errs.FromOS(op, "segments", err)
	}
	return nil
}
