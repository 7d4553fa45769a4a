package scenario

import (
	"os"
	"testing"
)

// BenchmarkWrite writes one large file through the whole of a device but the kernel.
func BenchmarkWrite(b *testing.B) {
	d := newMemoryDevice(b, newMemory(), "a")
	d.create()
	data := random(1, 128<<20)
	b.SetBytes(int64(len(data)))
	for i := 0; b.Loop(); i++ {
		for off := 0; off < len(data); off += 4096 {
			data[off] = byte(i + off>>12)
		}
		f, err := d.sys().Open("/big", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
		if err != nil {
			b.Fatal(err)
		}
		for off := 0; off < len(data); off += 1 << 20 {
			if _, err := f.Pwrite(data[off:off+1<<20], int64(off)); err != nil {
				b.Fatal(err)
			}
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
