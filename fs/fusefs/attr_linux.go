package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
)

func setBlksize(out *fuse.Attr) { out.Blksize = fs.BlockSize }
