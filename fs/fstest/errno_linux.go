package fstest

import "syscall"

const errNoAttr = syscall.ENODATA
