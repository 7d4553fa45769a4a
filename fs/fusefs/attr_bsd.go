//go:build darwin || freebsd

package fusefs

import "github.com/hanwen/go-fuse/v2/fuse"

func setBlksize(*fuse.Attr) {}
