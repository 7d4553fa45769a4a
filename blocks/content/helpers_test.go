package content

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

func testSealer() *seal.Sealer { return seal.New(ident.ShareID{1}, 1, [32]byte{2}) }

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 77}).Read(b)
	return b
}

// memory is a store of blocks that counts what is asked of it.
type memory struct {
	mu   sync.Mutex
	m    map[blocks.Digest]blocks.Sealed
	gets int
}

func newMemory() *memory { return &memory{m: make(map[blocks.Digest]blocks.Sealed)} }

func (m *memory) GetBlock(_ context.Context, d blocks.Digest) (blocks.Sealed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets++
	b, ok := m.m[d]
	if !ok {
		return b, errs.E("memory", errs.NotExist, d.Short(), nil)
	}
	return b, nil
}

func (m *memory) put(b blocks.Sealed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.m[b.Digest] = b
}

// store runs Splice into m and returns the blocks that m did not have.
func store(t testing.TB, m *memory, old *Tree, e Edit) (*Tree, []blocks.Digest) {
	t.Helper()
	var fresh []blocks.Digest
	tree, err := Splice(t.Context(), old, e, func(b blocks.Sealed) error {
		if err := b.Verify(); err != nil {
			t.Fatal(err)
		}
		if _, have := m.m[b.Digest]; !have {
			fresh = append(fresh, b.Digest)
			m.put(blocks.Sealed{Digest: b.Digest, Bytes: bytes.Clone(b.Bytes)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree, fresh
}

func empty(t testing.TB, m blocks.Getter) *Tree {
	t.Helper()
	tree, err := Load(t.Context(), m, testSealer(), blocks.Content{})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// whole is the edit that makes a file of b.
func whole(b []byte) Edit {
	return Edit{New: bytes.NewReader(b), Size: uint64(len(b)), Changed: []Range{{Len: uint64(len(b))}}}
}

func pieces(t testing.TB, tree *Tree) []Piece {
	t.Helper()
	var ps []Piece
	for p, err := range tree.Range(t.Context(), 0, tree.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

func refs(t testing.TB, tree *Tree) []blocks.Ref {
	t.Helper()
	var rs []blocks.Ref
	for _, p := range pieces(t, tree) {
		rs = append(rs, p.Ref)
	}
	return rs
}

// readAll opens every block, strictly, and joins the bytes.
func readAll(t testing.TB, m *memory, tree *Tree) []byte {
	t.Helper()
	out := make([]byte, 0, tree.Size())
	for _, p := range pieces(t, tree) {
		if p.Off != uint64(len(out)) {
			t.Fatalf("piece at %d, want %d", p.Off, len(out))
		}
		if p.IsHole() {
			out = append(out, make([]byte, p.Length)...)
			continue
		}
		b, err := m.GetBlock(t.Context(), p.Digest)
		if err != nil {
			t.Fatal(err)
		}
		at := len(out)
		if out, err = testSealer().OpenStrict(seal.Data, b, p.Length, out); err != nil {
			t.Fatal(err)
		}
		if p.Sums != "" {
			wantParts(t, p.Ref, b, out[at:])
		}
	}
	return out
}

// wantParts checks that a block's parts are, together, what it holds.
func wantParts(t testing.TB, r blocks.Ref, b blocks.Sealed, want []byte) {
	t.Helper()
	var got []byte
	for i := range blocks.Parts(r.Length) {
		span := seal.PartSpan(r, i)
		sent := append(bytes.Clone(b.Bytes[:blocks.HeadLen]), b.Bytes[span.Off:span.Off+span.Len]...)
		var err error
		if got, err = testSealer().OpenPart(r, i, sent, got); err != nil {
			t.Fatalf("part %d of %d bytes: %v", i, r.Length, err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("the parts of %d bytes are %d others", len(want), len(got))
	}
}

// wantFile checks the bytes, and that the tree has the one shape that its pieces give.
func wantFile(t testing.TB, m *memory, tree *Tree, want []byte) {
	t.Helper()
	if got := readAll(t, m, tree); !bytes.Equal(got, want) {
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		t.Fatalf("%d bytes, want %d; they differ at %d", len(got), len(want), at)
	}
	c, _, err := Build(refs(t, tree), testSealer())
	if err != nil || c != tree.Content() {
		t.Fatalf("tree %+v, Build makes %+v, %v", tree.Content(), c, err)
	}
	// A fresh tree has nothing in memory: all manifests must have been emitted.
	again, err := Load(t.Context(), m, testSealer(), c)
	if err != nil || len(pieces(t, again)) != len(pieces(t, tree)) {
		t.Fatalf("loaded again: %v", err)
	}
}

// endless is content that is made where it is read: byte i is a function of i and seed.
type endless struct {
	seed uint64
	read *uint64 // counts bytes, may be nil
}

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	if e.read != nil {
		*e.read += uint64(len(p))
	}
	for i := range p {
		x := (uint64(off)+uint64(i))/8*0x9E3779B97F4A7C15 + e.seed
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x ^= x >> 27
		p[i] = byte(x >> ((uint64(off) + uint64(i)) % 8 * 8))
	}
	return len(p), nil
}

// over is a ReaderAt whose bytes from off on are those of top, where it has any.
type over struct {
	io.ReaderAt
	off int64
	top []byte
}

func (o over) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.ReaderAt.ReadAt(p, off)
	lo, hi := max(off, o.off), min(off+int64(len(p)), o.off+int64(len(o.top)))
	if lo < hi {
		copy(p[lo-off:hi-off], o.top[lo-o.off:])
	}
	return n, err
}

func contextWithCancel(t testing.TB) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}
