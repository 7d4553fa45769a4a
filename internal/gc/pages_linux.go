//go:build linux && (amd64 || arm64) && !race

package gc

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// largePage is what the system can map at once; a whole one is given for the first byte of it that is used.
const largePage = 2 << 20

// useLargePages lets the heap have large pages in its first size bytes. In a virtual machine each page that is
// used for the first time can take 15 µs; page by page of 4 KiB, that was a quarter of the processor time of fetching. Nothing
// is used by it: the heap grows by so much that is never touched, the system is told about that, and it is free again at once. What
// the collector gives back to the system keeps that mark. Systems without such pages ignore it.
func useLargePages(size int) {
	b := make([]byte, size)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (largePage - 1))
	_ = unix.Madvise(b[skip:], unix.MADV_HUGEPAGE)
	runtime.KeepAlive(b)
	runtime.GC() // that frees it, so that the collector does not take it for the size of the heap
}
