package fstest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMmap(t *testing.T) {
	c := mounted(t)
	p := filepath.Join(c.mnt, "a")
	want := random(1, 1<<20)
	if err := os.WriteFile(p, want, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(p, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, len(want), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m, want) {
		t.Fatal("the map shows other bytes")
	}
	for i := 0; i < len(m); i += 5000 {
		m[i] ^= 0xff
		want[i] ^= 0xff
	}
	if err := unix.Msync(m, unix.MS_SYNC); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(p)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("after msync: %v", err)
	}
	f.Close() // the map outlives the descriptor
	m[77], want[77] = 1, 1
	if err := unix.Munmap(m); err != nil {
		t.Fatal(err)
	}
	soon(t, "same", func() string {
		got, _ := os.ReadFile(p)
		if bytes.Equal(got, want) {
			return "same"
		}
		return "different"
	})
	c.quit()
	again := mountedAt(t, c.dir)
	if got, err := os.ReadFile(filepath.Join(again.mnt, "a")); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("after a restart: %v", err)
	}
}
