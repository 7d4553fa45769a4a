//go:build darwin || freebsd

package fs

import "syscall"

const errnoNoAttr = syscall.ENOATTR
