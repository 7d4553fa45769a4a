package content

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/shelffs/shelf/blocks"
)

func drop(blocks.Sealed) error { return nil }

func BenchmarkFromScratch(b *testing.B) {
	data := random(1, 64<<20)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Splice(b.Context(), empty(b, newMemory()), whole(data), drop); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSmallFile(b *testing.B) {
	data := random(2, 4096)
	m, s := newMemory(), testSealer()
	b.ReportAllocs()
	for b.Loop() {
		tree, err := Load(b.Context(), m, s, blocks.Content{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Splice(b.Context(), tree, whole(data), drop); err != nil {
			b.Fatal(err)
		}
	}
}

// One page of a database of 1 GiB, again and again.
func BenchmarkRandomPage(b *testing.B) {
	m := newMemory()
	tree := fake(b, m, 1<<30)
	r := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		var err error
		e := Edit{New: endless{seed: i}, Size: tree.Size(), Changed: []Range{{Off: r.Uint64N(tree.Size()-4096) / 4096 * 4096, Len: 4096}}}
		if tree, err = Splice(b.Context(), tree, e, func(s blocks.Sealed) error { m.put(s); return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAt(b *testing.B) {
	m := newMemory()
	tree := fake(b, m, 16<<30)
	r := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tree.At(b.Context(), r.Uint64N(tree.Size())); err != nil {
			b.Fatal(err)
		}
	}
}

// What the first byte of a file that is elsewhere costs each side besides the way: the list of its blocks is
// verified and opened, and the place looked up.
func BenchmarkFirstByte(b *testing.B) {
	for _, size := range []uint64{64 << 20, 256 << 20, 1 << 30} {
		m := newMemory()
		tree := fake(b, m, size)
		root, err := m.GetBlock(b.Context(), tree.Content().Root)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(size>>20, "MiB"), func(b *testing.B) {
			s := testSealer()
			for b.Loop() {
				if err := root.Verify(); err != nil {
					b.Fatal(err)
				}
				for range Below(b.Context(), m, s, root, blocks.Stretch{Level: tree.Content().Depth - 1, Off: size / 2, Len: 4096}) {
				}
			}
			b.ReportMetric(float64(len(root.Bytes)), "list-bytes")
		})
	}
}
