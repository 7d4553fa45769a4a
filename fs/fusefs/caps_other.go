//go:build darwin || freebsd

package fusefs

import "github.com/hanwen/go-fuse/v2/fuse"

const capabilities = fuse.CAP_ATOMIC_O_TRUNC
