package fstest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// What the kernel keeps of either file when it asks for a copy: pages that a map has changed, and such as are
// not true any more.
func TestCopyBetweenMaps(t *testing.T) {
	dir := mounted(t).mnt
	tt := &T{T: t, Sys: OS(dir)}
	const size = 1 << 20
	want := random(1, size)
	tt.write("/a", string(want))
	tt.write("/b", string(random(2, size)))
	mapped := func(f File) []byte {
		m, err := unix.Mmap(f.(*osFile).fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		tt.ok(err)
		t.Cleanup(func() { unix.Munmap(m) })
		return m
	}
	a, b := tt.open("/a", os.O_RDWR), tt.open("/b", os.O_RDWR)
	ma, mb := mapped(a), mapped(b)
	copy(mb, ma[size/2:])
	for i := 0; i < size; i += 10_000 {
		ma[i] ^= 0xff
		want[i] ^= 0xff
	}
	tt.copy(b, 0, a, 0, size)
	tt.same(mb, want)
	tt.same(tt.pread(b, 0, 2*size), want)
	mb[7] ^= 0xff
	tt.same(ma, want)
	want[7] ^= 0xff
	tt.ok(unix.Msync(mb, unix.MS_SYNC))
	tt.ok(b.Sync())
	tt.holds("/b", string(want))
}

// A copy to what was opened with O_SYNC, or is synced, is there after the process was killed.
func TestCopyIsDurable(t *testing.T) {
	dir := t.TempDir()
	c := mountedAt(t, dir)
	tt := &T{T: t, Sys: OS(c.mnt)}
	want := string(random(1, 2<<20))
	tt.write("/a", want)
	a := tt.open("/a", os.O_RDONLY)
	through, synced := tt.open("/through", os.O_WRONLY|os.O_CREATE|os.O_SYNC), tt.open("/synced", os.O_WRONLY|os.O_CREATE)
	tt.copy(synced, 0, a, 0, 2<<20)
	tt.ok(synced.Sync())
	tt.copy(through, 0, a, 0, 2<<20)
	c.kill()
	tt.Sys = OS(mountedAt(t, dir).mnt)
	tt.holds("/through", want)
	tt.holds("/synced", want)
}
