package content

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shelffs/shelf/blocks"
)

// Known says what Range does as soon as nothing has to be brought for it, and brings nothing.
func TestKnownIsRangeOfWhatIsKept(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 8))
	for _, n := range []int{1, 100, 30_000} {
		m := newMemory()
		tree := shaped(t, m, someRefs(r, n))
		for range 30 {
			off, length := r.Uint64N(tree.Size()+10), r.Uint64N(4<<20)
			gets := m.gets
			early, known := tree.Known(off, length)
			if m.gets != gets {
				t.Fatalf("Known asked for a block")
			}
			var want []Piece
			for p, err := range tree.Range(t.Context(), off, length) {
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, p)
			}
			if known && !slices.Equal(early, want) || !known && (early != nil || m.gets == gets) {
				t.Fatalf("%d refs, %d bytes at %d: %d pieces, known %v, of %d", n, length, off, len(early), known, len(want))
			}
			if got, known := tree.Known(off, length); !known || !slices.Equal(got, want) {
				t.Fatalf("%d refs, %d bytes at %d: not known afterwards", n, length, off)
			}
		}
	}
}

func TestBesideListsTheNearestOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 8))
	m := newMemory()
	tree := shaped(t, m, someRefs(r, 30_000))
	above, err := tree.env.node(t.Context(), blocks.Ref{Digest: tree.c.Root, Length: tree.c.Size}, tree.c.Depth-1)
	if err != nil || tree.c.Depth != 2 || len(above.children) < 12 {
		t.Fatalf("depth %d, %v", tree.c.Depth, err)
	}
	tree.env.nodes = nodeCache{}
	leaf := func(i int) blocks.Digest { return above.children[i].Digest }
	read := func(i int) {
		t.Helper()
		if _, err := tree.At(t.Context(), above.starts[i]); err != nil {
			t.Fatal(err)
		}
	}
	wantBeside := func(i, most int, want ...int) {
		t.Helper()
		gets := m.gets
		var ds []blocks.Digest
		for _, k := range want {
			ds = append(ds, leaf(k))
		}
		if got := tree.Beside(above.starts[i], most); !slices.Equal(got, ds) || m.gets != gets {
			t.Errorf("%d beside leaf %d: %d digests, want leaves %d", most, i, len(got), want)
		}
	}
	wantBeside(5, 2) // nothing is known
	read(7)
	wantBeside(5, 2, 6, 4, 3) // 7 is kept
	wantBeside(5, 2)          // they were listed
	wantBeside(5, 3, 8, 2)
	wantBeside(0, 4, 1)
	if got := tree.Beside(tree.Size(), 4); got != nil {
		t.Error("something is beside the end")
	}
	if small := shaped(t, m, someRefs(r, 100)); small.Beside(0, 4) != nil {
		t.Error("something is beside the only manifest")
	}
}
