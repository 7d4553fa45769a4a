package fstest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs/alias"
)

// kernels are ways to mount that were tried against the one that is used.
var kernels = []struct {
	name          string
	with, without uint64
}{
	{"as mounted", 0, 0},
	{"with a write-back cache", fuse.CAP_WRITEBACK_CACHE, 0},
	{"without readdirplus", 0, fuse.CAP_READDIRPLUS},
}

// BenchmarkKernel measures them: fs/SPEED.md says what follows from it.
func BenchmarkKernel(b *testing.B) {
	const entries, size, piece = 5000, 16 << 20, 4 << 10
	for _, k := range kernels {
		caps := fmt.Sprintf("%s=%d,%d", capsEnv, k.with, k.without)
		b.Run(k.name+"/write 16 MiB by 4 KiB", func(b *testing.B) {
			c := mountedWith(b, b.TempDir(), alias.Exact, caps)
			t, buf := &T{Sys: OS(c.mnt)}, make([]byte, piece)
			f, err := t.Open("/f", os.O_WRONLY|os.O_CREATE, 0o644)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.SetBytes(size)
			for b.Loop() {
				for off := int64(0); off < size; off += piece {
					if _, err := f.Pwrite(buf, off); err != nil {
						b.Fatal(err)
					}
				}
				if err := f.Sync(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(k.name+"/ls -l of 5,000 entries", func(b *testing.B) {
			dir := b.TempDir()
			c := mountedWith(b, dir, alias.Exact)
			for i := range entries {
				if err := os.WriteFile(filepath.Join(c.mnt, fmt.Sprint(i)), nil, 0o644); err != nil {
					b.Fatal(err)
				}
			}
			c.quit()
			for b.Loop() {
				b.StopTimer() // with a kernel that knows nothing of it
				c := mountedWith(b, dir, alias.Exact, caps)
				b.StartTimer()
				list, err := os.ReadDir(c.mnt)
				if err != nil || len(list) != entries {
					b.Fatal(len(list), err)
				}
				for _, e := range list {
					if _, err := e.Info(); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				c.quit()
				b.StartTimer()
			}
		})
	}
}
