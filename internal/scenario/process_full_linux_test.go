package scenario

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk mounts a disk of so many bytes. It wants root.
func smallDisk(t testing.TB, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("shelf-test", dir, "tmpfs", 0, "size="+size); err != nil {
		cannot(t, "no disk can be mounted here", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill leaves nothing free on a disk.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "of another program"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for chunk := make([]byte, size); err == nil; {
			_, err = f.Write(chunk)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
}

// The disk of the device that reads is full, from the middle of a read on: the read goes on, and the bytes are right,
// though nothing can be kept. What is asked to be kept is refused, and says why.
func TestTheDiskIsFullAmidARead(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "320m")
	data, more := random(4, 64<<20), random(5, 8<<20)
	a, b := newDevice(t, "a").up(), newDevice(t, "b")
	b.home = filepath.Join(disk, "home")
	a.write("file", data)
	a.write("more", more)
	a.admit(b)
	b.up()
	b.hasSize("file", int64(len(data)))
	b.hasSize("more", int64(len(more)))
	got := b.readThrough("file", func() { fill(t, disk) }, func() {})
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes read, others than were written", len(got))
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(disk, &st); err != nil || st.Bavail > 80<<20/uint64(st.Bsize) {
		t.Fatalf("the disk is not full: %d MiB are free, %v", st.Bavail*uint64(st.Bsize)>>20, err)
	}
	f, err := os.Open(b.path("more")) // opened when it was full already, from the end to the beginning
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	back := make([]byte, len(more))
	for off := len(more); off > 0; {
		n := min(off, 1<<20)
		off -= n
		if _, err := f.ReadAt(back[off:off+n], int64(off)); err != nil && err != io.EOF {
			t.Fatalf("at %d: %v", off, err)
		}
	}
	if !bytes.Equal(back, more) {
		t.Error("other bytes than were written")
	}
	if out, code := b.try("pin", b.path("more")); code != 13 {
		t.Errorf("pinning on a full disk: exit %d, %s", code, out)
	}
}
