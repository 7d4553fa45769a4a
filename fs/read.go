package fs

import (
	"context"
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Bytes is the result of a read: slices that follow one another in the file, valid until
// Done, and not to be changed.
type Bytes struct {
	Slices [][]byte
	Len    int

	cache *plainCache
	held  []*plain
}

// Done gives the memory back; it must be called once, also on an empty result.
func (b *Bytes) Done() {
	for _, p := range b.held {
		b.cache.release(p)
	}
	b.held, b.Slices = nil, nil
}

func (b *Bytes) add(p []byte) {
	b.Slices, b.Len = append(b.Slices, p), b.Len+len(p)
}

// zeros is what holes read as.
var zeros [64 << 10]byte

func (b *Bytes) addZeros(n int64) {
	for n > 0 {
		m := min(n, int64(len(zeros)))
		b.add(zeros[:m:m])
		n -= m
	}
}

// gap is a part of a read that the layers in memory do not cover: it goes where Slices
// holds a nil at index at.
type gap struct {
	off, n int64
	at     int
	lent   *lent // where off is an offset; nil: in the tree
}

// ReadAt returns up to n bytes from off; fewer only at the end of the file. It waits for
// blocks that are not here: Offline, Timeout, Corrupt, Interrupted.
func (h *Handle) ReadAt(ctx context.Context, off int64, n int) (Bytes, error) {
	if !h.flags.Read {
		return Bytes{}, errs.E("fs.Read", errs.Invalid, "", nil)
	}
	h.n.read.Store(true)
	h.use()
	return h.fs.readAt(ctx, h.n, off, int64(n), &h.ahead)
}

// Read copies what ReadAt returns into p.
func (h *Handle) Read(ctx context.Context, off int64, p []byte) (int, error) {
	b, err := h.ReadAt(ctx, off, len(p))
	if err != nil {
		return 0, err
	}
	defer b.Done()
	n := 0
	for _, s := range b.Slices {
		n += copy(p[n:], s)
	}
	return n, nil
}

func (fs *FS) readAt(ctx context.Context, n *inode, off, count int64, ra *readAhead) (Bytes, error) {
	if off < 0 {
		return Bytes{}, errs.E("fs.Read", errs.Invalid, "", nil)
	}
	if off == 0 && ra != nil {
		fs.sweeps.note(ctx, n)
	}
	for {
		t, err := fs.load(ctx, n)
		if err != nil {
			return Bytes{}, err
		}
		b := Bytes{cache: fs.plain}
		n.mu.Lock()
		f := n.file
		if f == nil {
			n.mu.Unlock()
			return Bytes{}, closed("fs.Read")
		}
		if f.tree != t.Tree { // something changed since load
			n.mu.Unlock()
			continue
		}
		var parts Bytes
		gaps := f.plan(&parts, off, min(count, f.size-off))
		n.mu.Unlock()
		alone := false
		if from, to := ofTree(gaps); from < to && ra != nil {
			alone = ra.note(ctx, fs, n, t, from, to)
		}
		next := 0
		for _, g := range gaps {
			for ; next < g.at; next++ {
				b.add(parts.Slices[next])
			}
			if err := fs.fill(ctx, n.id, t, g, alone, &b); err != nil {
				b.Done()
				return Bytes{}, err
			}
		}
		for ; next < len(parts.Slices); next++ {
			b.add(parts.Slices[next])
		}
		return b, nil
	}
}

// ofTree is the range from the first to the last of the gaps that the tree has to fill.
func ofTree(gaps []gap) (from, to int64) {
	for _, g := range gaps {
		if g.lent != nil {
			continue
		}
		if to == 0 {
			from = g.off
		}
		to = g.off + g.n
	}
	return from, to
}

// plan copies what the layers in memory hold of [off, off+n) and returns where blocks
// have to fill in. f.n.mu is held.
func (f *file) plan(b *Bytes, off, n int64) []gap {
	if n <= 0 {
		return nil
	}
	if f.dirty.empty() && f.frozen.empty() {
		return []gap{{off: off, n: n}}
	}
	var gaps []gap
	f.visit(off, n, func(s span, covered bool) {
		switch {
		case !covered:
			gaps = append(gaps, gap{off: s.off, n: s.n, at: len(b.Slices)})
		case s.lent != nil:
			gaps = append(gaps, gap{off: s.at, n: s.n, at: len(b.Slices), lent: s.lent})
		case s.buf != nil:
			b.add(append([]byte(nil), s.bytes()...))
		default:
			b.addZeros(s.n)
		}
	})
	return gaps
}

// part is a part of a file: a span, or what the tree has there.
type part struct {
	span
	covered bool
}

// visit is that of a layer, for all that lies over the tree. f.n.mu is held.
func (f *file) visit(off, n int64, fn func(s span, covered bool)) {
	f.dirty.visit(off, n, func(s span, covered bool) {
		if covered {
			fn(s, true)
		} else {
			f.frozen.visit(s.off, s.n, fn)
		}
	})
}

// fill appends the bytes of g, of the file id, whose tree is t. alone says that nobody may read what lies around.
func (fs *FS) fill(ctx context.Context, id namespace.NodeID, t sourced, g gap, alone bool, b *Bytes) (err error) {
	var pieces []content.Piece
	if g.lent != nil {
		pieces, t.from = []content.Piece{{Ref: g.lent.Ref}}, g.lent.from
	} else if pieces, err = fs.pieces(ctx, t.Tree, g.off, g.n); err != nil {
		return err
	}
	needs := wholes(pieces)
	if _, ok := t.from.(Parts); ok {
		needs = fs.plain.needs(pieces, g.off, g.off+g.n, alone)
	}
	ctx, done, err := fs.pass(ctx, id, needs)
	if err != nil {
		return err
	}
	defer func() { done(err) }()
	held := make([]*plain, len(needs))
	for i, nd := range needs { // all are on their way before the first is waited for
		if nd.IsHole() {
			continue
		}
		acquire := fs.plain.acquire
		if i == len(needs)-1 {
			acquire = fs.plain.acquireNow
		}
		held[i] = acquire(nd.Ref, nd.part, t.from)
		b.held = append(b.held, held[i])
	}
	end, got := g.off+g.n, int64(0)
	for i, nd := range needs {
		from, to := max(g.off-nd.off, 0), min(end-nd.off, nd.n)
		got += to - from
		p := held[i]
		if p == nil {
			b.addZeros(to - from)
			continue
		}
		if err := fs.wait(ctx, p.ready); err != nil {
			return err
		}
		if p.err != nil {
			return errs.E("fs.Read", errs.Other, "", p.err)
		}
		b.add(p.b[from:to:to])
	}
	b.addZeros(g.n - got) // beyond what the tree holds
	if alone {
		fs.noteRests(ctx, id, t, needs)
		fs.beside(ctx, id, t, g.off)
	}
	return nil
}

// pieces lists what covers [off, off+n). Manifests may have to be fetched for it; an
// interrupt is heard after a grace.
func (fs *FS) pieces(ctx context.Context, t *content.Tree, off, n int64) ([]content.Piece, error) {
	if out, ok := t.Known(uint64(off), uint64(n)); ok {
		return out, nil
	}
	var out []content.Piece
	var err error
	done := make(chan struct{})
	bg := fs.onBehalf(ctx)
	go func() {
		defer close(done)
		out, err = collect(bg, t, off, n)
	}()
	if werr := fs.wait(ctx, done); werr != nil {
		return nil, werr
	}
	return out, err
}

// maxBeside is how many manifests are read ahead on each side of one: they are for some 3 GiB of a file, and have
// a MiB themselves.
const maxBeside = 16

// beside reads manifests ahead for who reads here and there in a large file: they are small, and he would wait for each.
func (fs *FS) beside(ctx context.Context, id namespace.NodeID, t sourced, off int64) {
	ds := t.Beside(uint64(off), maxBeside)
	if len(ds) == 0 {
		return
	}
	ctx = fs.onBehalf(ctx)
	go func() {
		ds = slices.DeleteFunc(ds, func(d blocks.Digest) bool {
			here, _ := fs.cfg.Blocks.Find(d)
			return here
		})
		if len(ds) > 0 && fs.mayAhead(ctx, Ask{Node: id, Blocks: len(ds)}) {
			t.from.Ahead(ds...)
		}
	}()
}

func collect(ctx context.Context, t *content.Tree, off, n int64) ([]content.Piece, error) {
	var out []content.Piece
	for pc, err := range t.Range(ctx, uint64(off), uint64(n)) {
		if err != nil {
			return nil, err
		}
		out = append(out, pc)
	}
	return out, nil
}
