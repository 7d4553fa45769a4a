package content

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
)

// someRefs makes refs with a hole now and then.
func someRefs(r *rand.Rand, n int) []blocks.Ref {
	rs := make([]blocks.Ref, n)
	for i := range rs {
		rs[i].Length = 1 + r.Uint64N(1<<20)
		if i == 0 || !rs[i-1].IsHole() && r.IntN(10) > 0 || rs[i-1].IsHole() {
			for j := range rs[i].Digest {
				rs[i].Digest[j] = byte(r.Uint32())
			}
		}
	}
	return rs
}

func TestBuildShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for n, depth := range map[int]uint8{0: 0, 1: 0, 2: 1, maxFan: 1, maxFan + 1: 2, 30_000: 2, 300_000: 2, 700_000: 3} {
		rs := someRefs(r, n)
		c, made, err := Build(rs, testSealer())
		if err != nil || c.Depth != depth {
			t.Fatalf("%d refs: depth %d, %v", n, c.Depth, err)
		}
		m := newMemory()
		for _, b := range made {
			m.put(b)
			if mf, err := testSealer().OpenManifest(b); err != nil || len(mf.Children) > maxFan {
				t.Errorf("manifest: %v", err)
			}
		}
		tree, err := Load(t.Context(), m, testSealer(), c)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(refs(t, tree), rs) {
			t.Errorf("%d refs: other refs came back", n)
		}
	}
}

func TestBuildJoinsHolesAndRefuses(t *testing.T) {
	d := blocks.Digest{1}
	hole := blocks.Ref{Length: 1 << 20}
	c, made, err := Build(slices.Repeat([]blocks.Ref{hole}, 20_000), testSealer())
	if err != nil || len(made) != 0 || c != (blocks.Content{Size: 20_000 << 20}) {
		t.Errorf("holes: %+v, %v", c, err)
	}
	for name, rs := range map[string][]blocks.Ref{
		"empty ref": {{Digest: d}},
		"too long":  {{Digest: d, Length: seal.MaxPlain + 1}},
		"huge hole": {{Length: 1 << 63}},
	} {
		if _, _, err := Build(rs, testSealer()); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	big := blocks.Ref{Length: 1<<63 - 1}
	if _, _, err := Build([]blocks.Ref{{Digest: d, Length: 1}, big}, testSealer()); !errs.Is(err, errs.TooLarge) {
		t.Errorf("too large a sum: %v", err)
	}
}

// An insertion among many blocks renews the leaf it falls into, and the root.
func TestInsertedBlockRenewsOneLeaf(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	rs := someRefs(r, 60_000)
	_, before, err := Build(rs, testSealer())
	if err != nil {
		t.Fatal(err)
	}
	_, after, err := Build(slices.Insert(slices.Clone(rs), 20_001, blocks.Ref{Digest: blocks.Digest{0xff, 0xff}, Length: 7}), testSealer())
	if err != nil {
		t.Fatal(err)
	}
	have := map[blocks.Digest]bool{}
	for _, b := range before {
		have[b.Digest] = true
	}
	fresh := 0
	for _, b := range after {
		if !have[b.Digest] {
			fresh++
		}
	}
	if fresh > 4 { // the leaf, the root, and sometimes a neighbour or two
		t.Errorf("%d of %d manifests renewed", fresh, len(after))
	}
}

// Whatever is edited in trees of one and of many manifests, and across the border between
// them, leaves are kept where possible and the result is the tree that Build makes.
func TestSpliceKeepsTheShape(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := newMemory()
			r := rand.New(rand.NewPCG(seed, 3))
			tree := shaped(t, m, someRefs(r, 7000+r.IntN(20_000)))
			for i := range 12 {
				size := tree.Size()
				e := Edit{New: endless{seed: uint64(i)}, Size: size}
				for range 1 + r.IntN(3) {
					e.Changed = append(e.Changed, Range{Off: r.Uint64N(size), Len: 1 + r.Uint64N(600_000), Zero: r.IntN(2) == 0})
				}
				switch r.IntN(5) {
				case 0:
					e.Size = size/2 + r.Uint64N(size/2)
				case 1:
					e.Size = size + r.Uint64N(1<<22)
				case 2:
					e.Changed = append(e.Changed, Range{Off: size / 4, Len: size / 4, Zero: true})
				}
				tree, _ = store(t, m, tree, e)
				c, _, err := Build(refs(t, tree), testSealer())
				if err != nil || c != tree.Content() {
					t.Fatalf("edit %d: tree %+v, Build makes %+v, %v", i, tree.Content(), c, err)
				}
				if again, err := Load(t.Context(), m, testSealer(), c); err != nil || !slices.Equal(refs(t, again), refs(t, tree)) {
					t.Fatalf("edit %d: not all manifests were emitted, %v", i, err)
				}
			}
		})
	}
}

func shaped(t testing.TB, m *memory, rs []blocks.Ref) *Tree {
	t.Helper()
	c, made, err := Build(rs, testSealer())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range made {
		m.put(b)
	}
	tree, err := Load(t.Context(), m, testSealer(), c)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
