package fstest

import "syscall"

const errNoAttr = syscall.ENODATA

const openDirectory = syscall.O_DIRECTORY
