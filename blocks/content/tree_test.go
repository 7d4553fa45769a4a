package content

import (
	"bytes"
	"context"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
)

func collect(t testing.TB, seq iter.Seq2[blocks.Digest, error]) []blocks.Digest {
	t.Helper()
	var ds []blocks.Digest
	for d, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		ds = append(ds, d)
	}
	return ds
}

func TestRangeAndAt(t *testing.T) {
	for _, size := range []uint64{200_000, 3 << 30, 20 << 30} {
		m := newMemory()
		tree := fake(t, m, size)
		all := pieces(t, tree)
		if last := all[len(all)-1]; all[0].Off != 0 || last.End() != tree.Size() {
			t.Fatal("pieces do not cover the file")
		}
		r := rand.New(rand.NewPCG(1, size))
		for range 60 {
			off := r.Uint64N(tree.Size() + 100)
			n := r.Uint64N(1 << r.IntN(64))
			var got []Piece
			for p, err := range tree.Range(t.Context(), off, n) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p)
			}
			end := min(off+min(n, 1<<62), tree.Size())
			lo, _ := slices.BinarySearchFunc(all, off, func(p Piece, o uint64) int {
				if p.End() <= o {
					return -1
				}
				return 1
			})
			hi := lo
			for hi < len(all) && all[hi].Off < end && off < end {
				hi++
			}
			if !slices.Equal(got, all[lo:hi]) {
				t.Fatalf("Range(%d, %d): %d pieces, want %d", off, n, len(got), hi-lo)
			}
			p, err := tree.At(t.Context(), off)
			if off >= tree.Size() != errs.Is(err, errs.Range) || err == nil && p != all[lo] {
				t.Fatalf("At(%d): %+v, %v", off, p, err)
			}
		}
	}
}

// Opening a file of many gigabytes at one place brings the manifests on the way, no others.
func TestLoadIsLazy(t *testing.T) {
	m := newMemory()
	big := fake(t, m, 64<<30)
	m.gets = 0
	tree, err := Load(t.Context(), m, testSealer(), big.Content())
	if err != nil || m.gets != 0 {
		t.Fatalf("%v, %d manifests", err, m.gets)
	}
	for range 3 {
		if _, err := tree.At(t.Context(), 33<<30); err != nil || m.gets != 2 {
			t.Fatalf("%v, %d manifests", err, m.gets)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	d := blocks.Digest{1}
	for name, c := range map[string]blocks.Content{
		"too deep":               {Root: d, Depth: blocks.MaxDepth + 1, Size: 10},
		"deep hole":              {Depth: 1, Size: 10},
		"block without bytes":    {Root: d},
		"manifest without bytes": {Root: d, Depth: 1},
		"block over a seal":      {Root: d, Size: seal.MaxPlain + 1},
		"negative size":          {Root: d, Depth: 1, Size: 1 << 63},
		"negative hole":          {Size: 1 << 63},
	} {
		if _, err := Load(t.Context(), newMemory(), testSealer(), c); !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
		for _, err := range Digests(t.Context(), newMemory(), testSealer(), c) {
			if !errs.Is(err, errs.Corrupt) {
				t.Errorf("Digests, %s: %v", name, err)
			}
		}
	}
}

// A writer can put any manifest anywhere; what does not fit its parent is refused.
func TestManifestsMustFitTheirParents(t *testing.T) {
	m := newMemory()
	s := testSealer()
	put := func(level uint8, children ...blocks.Ref) blocks.Ref {
		mf := blocks.Manifest{Level: level, Children: children}
		for _, c := range children {
			mf.Size += c.Length
		}
		b, err := s.SealManifest(mf)
		if err != nil {
			t.Fatal(err)
		}
		m.put(b)
		return blocks.Ref{Digest: b.Digest, Length: mf.Size}
	}
	leaf := put(0, blocks.Ref{Digest: blocks.Digest{9}, Length: 10}, blocks.Ref{Length: 5})
	data, err := s.Seal(seal.Data, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	m.put(data)
	for name, c := range map[string]blocks.Content{
		"other size":        {Root: leaf.Digest, Depth: 1, Size: 16},
		"other level":       {Root: leaf.Digest, Depth: 2, Size: 15},
		"level in the tree": {Root: put(2, leaf).Digest, Depth: 3, Size: 15},
		"size in the tree":  {Root: put(1, blocks.Ref{Digest: leaf.Digest, Length: 14}).Digest, Depth: 2, Size: 14},
		"data as manifest":  {Root: data.Digest, Depth: 1, Size: 4},
	} {
		tree, err := Load(t.Context(), m, s, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.At(t.Context(), 3); !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = Splice(t.Context(), tree, Edit{New: bytes.NewReader(make([]byte, 20)), Size: 20}, func(blocks.Sealed) error { return nil })
		if !errs.Is(err, errs.Corrupt) {
			t.Errorf("Splice, %s: %v", name, err)
		}
	}
}

// Four small blocks can name 2^52 leaves. Reading one byte, listing digests and comparing
// must cost what is there, and editing must be refused.
func TestManifestBomb(t *testing.T) {
	m := newMemory()
	s := testSealer()
	ref := blocks.Ref{Length: 1}
	for level := range uint8(blocks.MaxDepth) {
		mf := blocks.Manifest{Level: level, Children: slices.Repeat([]blocks.Ref{ref}, blocks.MaxChildren)}
		mf.Size = ref.Length * blocks.MaxChildren
		b, err := s.SealManifest(mf)
		if err != nil {
			t.Fatal(err)
		}
		m.put(b)
		ref = blocks.Ref{Digest: b.Digest, Length: mf.Size}
	}
	c := blocks.Content{Root: ref.Digest, Depth: blocks.MaxDepth, Size: ref.Length}
	tree, err := Load(t.Context(), m, s, c)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := tree.At(t.Context(), c.Size/2); err != nil || p.Off != c.Size/2 {
		t.Errorf("%+v, %v", p, err)
	}
	if ds := collect(t, Digests(t.Context(), m, s, c)); len(ds) != blocks.MaxDepth {
		t.Errorf("%d digests", len(ds))
	}
	if ds := collect(t, Diff(t.Context(), m, s, blocks.Content{}, c)); len(ds) != blocks.MaxDepth {
		t.Errorf("%d digests differ from nothing", len(ds))
	}
	_, err = Splice(t.Context(), tree, Edit{Size: 5}, func(blocks.Sealed) error { return nil })
	if !errs.Is(err, errs.TooLarge) {
		t.Errorf("Splice: %v", err)
	}
}

func TestDigestsNameEverything(t *testing.T) {
	m := newMemory()
	b := slices.Concat(random(1, 3<<20), make([]byte, 1<<20), random(2, 2<<20))
	tree, _ := store(t, m, empty(t, m), whole(b))
	ds := collect(t, Digests(t.Context(), m, testSealer(), tree.Content()))
	if len(ds) != len(m.m) || ds[0] != tree.Content().Root {
		t.Errorf("%d digests of %d blocks", len(ds), len(m.m))
	}
	for _, d := range ds {
		if _, ok := m.m[d]; !ok {
			t.Errorf("%s is no block of the file", d.Short())
		}
	}
	if ds := collect(t, Digests(t.Context(), m, testSealer(), blocks.Content{})); len(ds) != 0 {
		t.Errorf("empty file: %d", len(ds))
	}
	if ds := collect(t, Digests(t.Context(), m, testSealer(), blocks.Content{Size: 1 << 40})); len(ds) != 0 {
		t.Errorf("hole: %d", len(ds))
	}
	delete(m.m, tree.Content().Root)
	var last error
	for _, err := range Digests(t.Context(), m, testSealer(), tree.Content()) {
		last = err
	}
	if !errs.Is(last, errs.NotExist) {
		t.Errorf("missing manifest: %v", last)
	}
	for range Digests(t.Context(), m, testSealer(), tree.Content()) {
		break // must be allowed
	}
}

func TestDiff(t *testing.T) {
	m := newMemory()
	s := testSealer()
	old := fake(t, m, 40<<30)
	edit, fresh := store(t, m, old, Edit{New: endless{seed: 2}, Size: old.Size(), Changed: []Range{{Off: 13<<30 + 5, Len: 3 << 20}, {Off: 39 << 30, Len: 10}}})
	small, smallFresh := store(t, m, old, Edit{New: endless{seed: 3}, Size: 100_000, Changed: []Range{{Len: 1000}}})
	sorted := func(ds []blocks.Digest) []blocks.Digest {
		slices.SortFunc(ds, func(a, b blocks.Digest) int { return bytes.Compare(a[:], b[:]) })
		return slices.Compact(ds)
	}
	m.gets = 0
	if got := collect(t, Diff(t.Context(), m, s, old.Content(), edit.Content())); !slices.Equal(sorted(got), sorted(fresh)) {
		t.Errorf("%d digests, %d were new", len(got), len(fresh))
	}
	if m.gets > 6 { // both roots, two leaves on each side
		t.Errorf("%d manifests brought", m.gets)
	}
	if got := collect(t, Diff(t.Context(), m, s, old.Content(), small.Content())); !slices.Equal(sorted(got), sorted(smallFresh)) {
		t.Errorf("to a small file: %d digests, %d were new", len(got), len(smallFresh))
	}
	back := collect(t, Diff(t.Context(), m, s, small.Content(), old.Content()))
	all := collect(t, Digests(t.Context(), m, s, old.Content()))
	if len(back) != len(all) {
		t.Errorf("back: %d of %d", len(back), len(all))
	}
	if got := collect(t, Diff(t.Context(), m, s, old.Content(), old.Content())); len(got) != 0 {
		t.Errorf("to itself: %d", len(got))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	lost := newMemory()
	var last error
	for _, err := range Diff(ctx, lost, s, old.Content(), edit.Content()) {
		last = err
	}
	if !errs.Is(last, errs.NotExist) {
		t.Errorf("missing manifests: %v", last)
	}
}
