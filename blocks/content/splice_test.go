package content

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/chunker"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
)

func TestFromScratch(t *testing.T) {
	zeros := make([]byte, 300_000)
	for name, b := range map[string][]byte{
		"empty":           nil,
		"one byte":        {7},
		"one zero byte":   {0},
		"small":           random(1, 5000),
		"one unit":        random(2, unit),
		"a few blocks":    random(3, 3<<20),
		"all zero":        make([]byte, 5<<20),
		"zeros in front":  append(slices.Clone(zeros), random(4, 1<<20)...),
		"zeros behind":    append(random(5, 1<<20), zeros...),
		"zeros inside":    slices.Concat(random(6, 700_000), zeros, random(7, 70_000), zeros, random(8, 10)),
		"constant bytes":  bytes.Repeat([]byte{0xee}, 3<<20),
		"period of 4 KiB": bytes.Repeat(random(9, 4096), 700),
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			tree, fresh := store(t, m, empty(t, m), whole(b))
			wantFile(t, m, tree, b)
			if bytes.Count(b, []byte{0}) == len(b) && len(fresh) > 0 {
				t.Error("zeros were stored")
			}
			// The same bytes elsewhere give the same content and nothing new.
			same, fresh := store(t, m, empty(t, m), whole(slices.Clone(b)))
			if same.Content() != tree.Content() || len(fresh) != 0 {
				t.Errorf("not a function of the bytes: %d new blocks", len(fresh))
			}
		})
	}
}

// The promise of the newcomer's test: an editor that inserts a byte writes the whole file
// anew, and three blocks at most cross the network: two of data and the manifest.
func TestInsertOneByteAtTheFront(t *testing.T) {
	for seed := range uint64(2) {
		m := newMemory()
		b := random(seed, 64<<20)
		tree, first := store(t, m, empty(t, m), whole(b))
		if len(first) < 100 {
			t.Fatalf("only %d blocks to begin with", len(first))
		}
		inserted := append([]byte{'x'}, b...)
		for name, old := range map[string]*Tree{"in place": tree, "as a new file": empty(t, m)} {
			kept := len(m.m)
			again, fresh := store(t, m, old, whole(inserted))
			if len(fresh) > 3 {
				t.Errorf("seed %d, %s: %d new blocks", seed, name, len(fresh))
			}
			for _, d := range fresh {
				delete(m.m, d)
			}
			if len(m.m) != kept || again.Size() != uint64(len(inserted)) {
				t.Fatal("lost count")
			}
		}
	}
}

// A change inside a block renews that block and the manifest, wherever it lies; across a
// boundary, two blocks.
func TestOverwriteInPlaceCounts(t *testing.T) {
	m := newMemory()
	const size = 24 << 20
	b := random(11, size)
	tree, _ := store(t, m, empty(t, m), whole(b))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		off := r.IntN(size - 4096)
		top := random(uint64(100+i), 4096)
		before := len(m.m)
		var fresh []blocks.Digest
		tree, fresh = store(t, m, tree, Edit{New: over{bytes.NewReader(b), int64(off), top}, Size: size, Changed: []Range{{Off: uint64(off), Len: 4096}}})
		copy(b[off:], top)
		if len(fresh) > 3 || len(m.m)-before != len(fresh) {
			t.Fatalf("overwrite %d: %d new blocks", i, len(fresh))
		}
	}
	wantFile(t, m, tree, b)
}

// fake makes a tree of about size bytes whose data blocks do not exist: nothing but the
// touched ones may be asked for.
func fake(t testing.TB, m *memory, size uint64) *Tree {
	t.Helper()
	r := rand.New(rand.NewPCG(3, size))
	var rs []blocks.Ref
	for total := uint64(0); total < size; {
		var d blocks.Digest
		for i := range d {
			d[i] = byte(r.Uint32())
		}
		n := uint64(chunker.Min + r.IntN(450_000))
		rs = append(rs, blocks.Ref{Digest: d, Length: n})
		total += n
	}
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

func TestBigFilesCostWhatIsTouched(t *testing.T) {
	for _, size := range []uint64{1 << 30, 64 << 30} {
		m := newMemory()
		tree := fake(t, m, size)
		if tree.Content().Depth != 2 {
			t.Fatalf("depth %d", tree.Content().Depth)
		}
		r := rand.New(rand.NewPCG(5, 6))
		for range 20 {
			p, err := tree.At(t.Context(), r.Uint64N(tree.Size()))
			if err != nil {
				t.Fatal(err)
			}
			var read uint64
			off := p.Off + r.Uint64N(p.Length-4096)
			m.gets = 0
			next, fresh := store(t, m, tree, Edit{New: endless{1, &read}, Size: tree.Size(), Changed: []Range{{Off: off, Len: 4096}}})
			if want := int(tree.Content().Depth) + 1; len(fresh) != want || len(fresh) > 3 {
				t.Errorf("%d GiB: %d new blocks, want %d", size>>30, len(fresh), want)
			}
			if read != p.Length {
				t.Errorf("%d GiB: read %d bytes of a block of %d", size>>30, read, p.Length)
			}
			if m.gets > 2 {
				t.Errorf("%d GiB: %d manifests brought", size>>30, m.gets)
			}
			tree = next
		}
		if c, _, err := Build(refs(t, tree), testSealer()); err != nil || c != tree.Content() {
			t.Errorf("%d GiB: not the tree that Build makes, %v", size>>30, err)
		}
	}
}

// model is a file as bytes beside the file as a tree.
type model struct {
	t    *testing.T
	r    *rand.Rand
	m    *memory
	tree *Tree
	b    []byte

	was  *Tree // an older state, and its bytes
	wasB []byte
}

func (f *model) bytes(n int) []byte {
	b := make([]byte, n)
	if f.r.IntN(4) > 0 {
		_, _ = rand.NewChaCha8([32]byte{byte(f.r.Uint32()), byte(f.r.Uint32())}).Read(b)
	}
	return b
}

// step does a few edits at once and splices them.
func (f *model) step() {
	var changed []Range
	for range 1 + f.r.IntN(4) {
		off, n := f.r.IntN(len(f.b)+1), 1<<f.r.IntN(21)
		switch f.r.IntN(7) {
		case 0, 1: // write, maybe beyond the end
			off += f.r.IntN(2) * f.r.IntN(300_000)
			if off+n > len(f.b) {
				f.b = append(f.b, make([]byte, off+n-len(f.b))...)
			}
			copy(f.b[off:], f.bytes(n))
			changed = append(changed, Range{Off: uint64(off), Len: uint64(n)})
		case 2: // append
			changed = append(changed, Range{Off: uint64(len(f.b)), Len: uint64(n)})
			f.b = append(f.b, f.bytes(n)...)
		case 3: // punch a hole
			n = min(n, len(f.b)-off)
			clear(f.b[off : off+n])
			changed = append(changed, Range{Off: uint64(off), Len: uint64(n), Zero: true})
		case 4: // truncate; what a later write leaves out is zero, in the new file and in the old bytes
			if f.r.IntN(2) == 0 {
				old := len(f.b)
				f.b = f.b[:off]
				changed = append(changed, Range{Off: uint64(off), Len: uint64(old - off), Zero: true})
			}
		case 5: // grow
			f.b = append(f.b, make([]byte, n)...)
		case 6: // take over blocks of an older state
			changed = append(changed, f.take(off)...)
		}
	}
	// A zero range that a later write covers must lose against it, whatever the order.
	f.r.Shuffle(len(changed), func(i, j int) { changed[i], changed[j] = changed[j], changed[i] })
	f.b = slices.Clip(f.b)
	f.tree, _ = store(f.t, f.m, f.tree, Edit{New: bytes.NewReader(f.b), Size: uint64(len(f.b)), Changed: f.honest(changed)})
}

// take lays some of the pieces of an older state over the bytes from off on.
func (f *model) take(off int) (rs []Range) {
	ps := pieces(f.t, f.was)
	if len(ps) == 0 {
		return nil
	}
	i := f.r.IntN(len(ps))
	for _, p := range ps[i:min(len(ps), i+1+f.r.IntN(4))] {
		b := f.wasB[p.Off:p.End()]
		if off+len(b) > len(f.b) {
			f.b = append(f.b, make([]byte, off+len(b)-len(f.b))...)
		}
		copy(f.b[off:], b)
		rs = append(rs, Range{Off: uint64(off), Len: p.Length, Zero: p.IsHole(), Block: blockOf(p)})
		off += len(b)
	}
	return rs
}

func blockOf(p Piece) blocks.Ref {
	if p.IsHole() {
		return blocks.Ref{}
	}
	return p.Ref
}

// honest makes a range that is not what it says any more an ordinary one, as a caller that
// tracks its dirty ranges would.
func (f *model) honest(rs []Range) []Range {
	for i, r := range rs {
		lo, hi := min(r.Off, uint64(len(f.b))), min(r.Off+r.Len, uint64(len(f.b)))
		rs[i].Zero = r.Zero && isZero(f.b[lo:hi])
		if !r.Block.IsHole() && (hi-lo < r.Len || !f.holds(f.b[lo:hi], r.Block.Digest)) {
			rs[i].Block = blocks.Ref{}
		}
	}
	return rs
}

func (f *model) holds(b []byte, d blocks.Digest) bool {
	sealed, err := testSealer().Seal(seal.Data, b)
	return err == nil && sealed.Digest == d
}

func TestRandomEdits(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			f := &model{t: t, r: rand.New(rand.NewPCG(seed, 1)), m: newMemory()}
			f.tree = empty(t, f.m)
			f.was = f.tree
			for i := range 25 {
				f.step()
				if i%3 == 0 {
					f.was, f.wasB = f.tree, slices.Clone(f.b)
				}
				wantFile(t, f.m, f.tree, f.b)
				for _, p := range pieces(t, f.tree) {
					if !p.IsHole() && p.Length > chunker.Max {
						t.Fatalf("a block of %d bytes", p.Length)
					}
				}
				if len(f.b) > 12<<20 {
					f.b = f.b[:1<<20]
					f.tree, _ = store(t, f.m, f.tree, Edit{New: bytes.NewReader(f.b), Size: 1 << 20})
				}
			}
			// Whatever history a file had, rewriting it all gives the tree of its bytes.
			anew, _ := store(t, f.m, empty(t, f.m), whole(f.b))
			over, _ := store(t, f.m, f.tree, whole(f.b))
			if anew.Content() != over.Content() {
				t.Error("history shows after a full rewrite")
			}
		})
	}
}

// What is taken over of another file is neither read nor sealed again; of the blocks at its ends, parts are.
func TestBlocksAreTakenOver(t *testing.T) {
	m := newMemory()
	b := random(51, 24<<20)
	from, _ := store(t, m, empty(t, m), whole(b))
	const cut, head = 1_000_000, 12_345
	taken := func(at uint64, ps []Piece) (rs []Range) {
		for _, p := range ps {
			if p.Off >= at {
				rs = append(rs, Range{Off: p.Off - at, Len: p.Length, Block: p.Ref})
			}
		}
		return rs
	}
	var read uint64
	all, fresh := store(t, m, empty(t, m), Edit{New: counted{bytes.NewReader(b), &read}, Size: uint64(len(b)), Changed: taken(0, pieces(t, from))})
	if all.Content() != from.Content() || read != 0 || len(fresh) != 0 {
		t.Errorf("a copy of all: %d bytes read, %d new blocks", read, len(fresh))
	}
	want := slices.Concat(random(52, head), b[cut:])
	rs := append(taken(cut-head, pieces(t, from)), Range{Len: head})
	for i := range rs[:len(rs)-1] { // but the first, of which only a part is copied
		if rs[i].Off < head {
			t.Fatal("a block begins before the cut")
		}
	}
	begin := rs[0].Off
	rs[len(rs)-1].Len = begin
	part, fresh := store(t, m, empty(t, m), Edit{New: counted{bytes.NewReader(want), &read}, Size: uint64(len(want)), Changed: rs})
	wantFile(t, m, part, want)
	if read > begin || len(fresh) > 3+int(begin)/chunker.Min {
		t.Errorf("a part: %d bytes read of %d, %d new blocks", read, begin, len(fresh))
	}
}

// counted counts the bytes read.
type counted struct {
	io.ReaderAt
	n *uint64
}

func (c counted) ReadAt(p []byte, off int64) (int, error) {
	*c.n += uint64(len(p))
	return c.ReaderAt.ReadAt(p, off)
}

func TestAppendingJoinsTheLastBlock(t *testing.T) {
	m := newMemory()
	all := random(21, 4<<20)
	tree := empty(t, m)
	for n := 0; n < len(all); {
		step := min(1+n/7, 50_000, len(all)-n)
		tree, _ = store(t, m, tree, Edit{New: bytes.NewReader(all), Size: uint64(n + step), Changed: []Range{{Off: uint64(n), Len: uint64(step)}}})
		n += step
	}
	want, _ := store(t, m, empty(t, m), whole(all))
	if tree.Content() != want.Content() {
		t.Error("a file written by appending is cut otherwise than one written at once")
	}
}

func TestHolesAreNotRead(t *testing.T) {
	m := newMemory()
	var read uint64
	const tib = 1 << 40
	tree, fresh := store(t, m, empty(t, m), Edit{Size: tib})
	if c := tree.Content(); !c.Root.IsZero() || c.Depth != 0 || c.Size != tib || len(fresh) != 0 {
		t.Fatalf("%+v", c)
	}
	tree, fresh = store(t, m, tree, Edit{New: endless{1, &read}, Size: tib, Changed: []Range{{Off: tib/2 + 5000, Len: 4096}}})
	if len(fresh) != 2 || read != unit || len(pieces(t, tree)) != 3 {
		t.Errorf("%d new blocks, %d bytes read, %d pieces", len(fresh), read, len(pieces(t, tree)))
	}
	tree, fresh = store(t, m, tree, Edit{Size: 2 * tib, Changed: []Range{{Off: tib / 2, Len: tib, Zero: true}}})
	if c := tree.Content(); !c.Root.IsZero() || c.Size != 2*tib || len(fresh) != 0 {
		t.Errorf("%+v, %d new blocks", c, len(fresh))
	}
}

func TestNoChangeIsFree(t *testing.T) {
	m := newMemory()
	b := random(31, 3<<20)
	tree, _ := store(t, m, empty(t, m), whole(b))
	for name, e := range map[string]Edit{
		"nothing":           {Size: uint64(len(b))},
		"beyond the end":    {Size: uint64(len(b)), Changed: []Range{{Off: 1 << 40, Len: 5}}},
		"equal bytes":       {New: bytes.NewReader(b), Size: uint64(len(b)), Changed: []Range{{Off: 5000, Len: 10}}},
		"all bytes equal":   whole(b),
		"overflowing range": {New: bytes.NewReader(b), Size: uint64(len(b)), Changed: []Range{{Off: 3 << 19, Len: 1<<64 - 1}}},
	} {
		emitted := 0
		same, err := Splice(t.Context(), tree, e, func(blocks.Sealed) error { emitted++; return nil })
		if err != nil || same.Content() != tree.Content() || emitted != 0 {
			t.Errorf("%s: %v, %d emitted", name, err, emitted)
		}
	}
}

func TestSpliceErrors(t *testing.T) {
	m := newMemory()
	b := random(41, 4<<20)
	tree, _ := store(t, m, empty(t, m), whole(b))
	refuse := errors.New("no room")
	_, err := Splice(t.Context(), empty(t, m), whole(b), func(blocks.Sealed) error { return refuse })
	if !errors.Is(err, refuse) {
		t.Errorf("emit's error: %v", err)
	}
	drop := func(blocks.Sealed) error { return nil }
	short := whole(b)
	short.New = bytes.NewReader(b[:len(b)-1])
	if _, err := Splice(t.Context(), empty(t, m), short, drop); !errs.Is(err, errs.Invalid) {
		t.Errorf("short content: %v", err)
	}
	if _, err := Splice(t.Context(), tree, Edit{Size: blocks.MaxSize + 1}, drop); !errs.Is(err, errs.TooLarge) {
		t.Errorf("too large: %v", err)
	}
	ctx, cancel := contextWithCancel(t)
	n := 0
	_, err = Splice(ctx, empty(t, m), whole(b), func(blocks.Sealed) error { n++; cancel(); return nil })
	if !errs.Is(err, errs.Interrupted) || n > 12 {
		t.Errorf("cancelled: %v after %d blocks", err, n)
	}
	delete(m.m, tree.Content().Root)
	lost, err := Load(t.Context(), m, testSealer(), tree.Content())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Splice(t.Context(), lost, Edit{Size: 1 << 20}, drop); !errs.Is(err, errs.NotExist) {
		t.Errorf("missing manifest: %v", err)
	}
}
