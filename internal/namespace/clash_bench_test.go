package namespace

import (
	"context"
	"fmt"
	"testing"
)

// What it takes to list ten conflicts among more and more files: it must not grow with them.
func BenchmarkClashes(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n, "-files"), func(b *testing.B) {
			w := newWorld(b, 1, 2)
			d, o := w.devices[0], w.devices[1]
			for i := range n {
				mkfile(b, d.Replica, Root, fmt.Sprint("f", i), i+1)
			}
			for i := range 10 {
				mkfile(b, o.Replica, Root, fmt.Sprint("f", i), n+1+i)
			}
			pull(b, d, o, -1)
			for b.Loop() {
				if cs, err := d.Clashes(context.Background()); err != nil || len(cs) != 10 {
					b.Fatal(len(cs), err)
				}
			}
		})
	}
}
