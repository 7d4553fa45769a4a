package fs

import (
	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/internal/namespace"
)

// sourced is the list of a file's blocks, and who brings them.
type sourced struct {
	*content.Tree
	from Blocks
}

// from is who brings the blocks of a content that these versions show.
func (fs *FS) from(versions []namespace.Dot) Blocks {
	if fs.cfg.Hints == nil || len(versions) == 0 {
		return fs.cfg.Blocks
	}
	return fs.cfg.Hints.Of(versions)
}

// askAhead asks for the roots of files that are about to be read.
func (fs *FS) askAhead(files []upcoming) {
	if fs.cfg.Hints == nil {
		ds := make([]blocks.Digest, len(files))
		for i, f := range files {
			ds[i] = f.Root
		}
		fs.cfg.Blocks.Ahead(ds...)
		return
	}
	ws := make([]Wish, len(files))
	for i, f := range files {
		ws[i] = Wish{f.Root, f.versions}
	}
	fs.cfg.Hints.Ahead(ws...)
}
