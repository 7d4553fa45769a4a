package content

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/shelffs/shelf/blocks"
)

// What Below lists for a stretch is what a reader of it asks for, no less and no more.
func TestBelowIsWhatAReaderNeeds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	for _, n := range []int{100, 30_000} { // one level of manifests, and two
		m := newMemory()
		tree := shaped(t, m, someRefs(r, n))
		c := tree.Content()
		root, err := m.GetBlock(t.Context(), c.Root)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			off := r.Uint64N(c.Size)
			length := 1 + r.Uint64N(min(c.Size, 4<<20))
			want := map[blocks.Digest]bool{}
			for p, err := range tree.Range(t.Context(), off, length) {
				if err != nil {
					t.Fatal(err)
				}
				if !p.IsHole() {
					want[p.Digest] = true
				}
			}
			got, manifests := map[blocks.Digest]bool{}, 0
			for b := range Below(t.Context(), m, testSealer(), root, blocks.Stretch{Level: c.Depth - 1, Off: off, Len: length}) {
				if b.Bytes != nil { // data blocks come without
					manifests++
					continue
				}
				if got[b.Digest] = true; !want[b.Digest] {
					t.Fatalf("%d bytes at %d: a block too many", length, off)
				}
			}
			if len(got) != len(want) || (manifests > 0) != (c.Depth > 1) {
				t.Fatalf("%d bytes at %d: %d blocks of %d, %d manifests", length, off, len(got), len(want), manifests)
			}
		}
	}
}

// Whatever another device says that it wants, there is an answer.
func TestBelowAnswersNonsense(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 8))
	m := newMemory()
	tree := shaped(t, m, someRefs(r, 100))
	c := tree.Content()
	root, err := m.GetBlock(t.Context(), c.Root)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []blocks.Stretch{
		{Len: 0}, {Off: c.Size, Len: 1}, {Off: math.MaxUint64, Len: math.MaxUint64}, {Level: 1, Len: 1}, {Level: 255, Len: 1},
	} {
		for range Below(t.Context(), m, testSealer(), root, s) {
			t.Errorf("%+v: something is below", s)
		}
	}
	n := 0
	for range Below(t.Context(), m, testSealer(), root, blocks.Stretch{Off: c.Size - 1, Len: math.MaxUint64}) {
		n++
	}
	if n > 1 {
		t.Errorf("%d blocks behind the last byte", n)
	}
	for range Below(t.Context(), m, testSealer(), blocks.New([]byte("no manifest")), blocks.Stretch{Len: 1}) {
		t.Error("something is below what is no manifest")
	}
}
