package fstest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// distant is a device before a file of another one, of which it has no block.
type distant struct {
	*device
	p      *porter
	data   []byte
	pieces []content.Piece // blocks of three parts at least
}

func before(t *testing.T, size int, plain int64) *distant {
	t.Helper()
	d := &distant{}
	d.device, d.p, d.data = guardedWith(t, size, plain)
	e, err := d.names.Lookup(namespace.Root, "file")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := content.Load(bg, d.blocks, d.sealer, e.Content)
	if err != nil {
		t.Fatal(err)
	}
	for pc, err := range tree.Range(bg, 0, tree.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if blocks.Parts(pc.Length) > 2 && pc.Off > 0 {
			d.pieces = append(d.pieces, pc)
		}
	}
	if len(d.pieces) < 6 {
		t.Fatalf("only %d blocks of several parts", len(d.pieces))
	}
	return d
}

// read reads n bytes from off on through a handle, and tells how many parts, and how many blocks, came for it.
func (d *distant) read(t *testing.T, ctx context.Context, h *fs.Handle, off uint64, n int) (parts, wholes int) {
	t.Helper()
	b := d.blocks
	b.mu.Lock()
	parts, asked := b.parts, b.asked
	b.mu.Unlock()
	got := make([]byte, n)
	k, err := h.Read(ctx, int64(off), got)
	if want := d.data[off:min(off+uint64(n), uint64(len(d.data)))]; err != nil || !bytes.Equal(got[:k], want) {
		t.Fatalf("%d bytes from %d on: %d, %v", n, off, k, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.parts - parts, b.asked - asked - (b.parts - parts)
}

// A read with which no other goes brings its part of a block, who comes back to the block all of it.
func TestAReadAloneBringsAPart(t *testing.T) {
	d := before(t, 6<<20, 64<<20)
	read := func(what string, h *fs.Handle, off uint64, n, parts, wholes int) {
		t.Helper()
		if p, w := d.read(t, bg, h, off, n); p != parts || w != wholes {
			t.Errorf("%s: %d parts and %d blocks, want %d and %d", what, p, w, parts, wholes)
		}
	}
	open := func() *fs.Handle { return d.handle(t, fs.OpenFlags{Read: true}) }
	wantHere := func(pc content.Piece, want bool) {
		t.Helper()
		if c, err := d.store.Class(pc.Digest); err != nil || (c != cache.None) != want {
			t.Errorf("block at %d is of class %v, %v", pc.Off, c, err)
		}
	}
	h := open()
	d.read(t, bg, h, d.pieces[5].Off, 100) // and the manifest
	read("first", h, d.pieces[0].Off+10, 100, 1, 0)
	wantHere(d.pieces[0], false)
	read("the same part", open(), d.pieces[0].Off+5000, 100, 0, 0)
	read("another part of the block", open(), d.pieces[0].End()-100, 100, 0, 1)
	wantHere(d.pieces[0], true)
	read("of a block that is opened", open(), d.pieces[0].Off+10, 300, 0, 0)

	read("across the border of two parts", open(), d.pieces[1].Off+blocks.PartLen-50, 100, 2, 0)
	read("of more parts", open(), d.pieces[2].Off+10, 2*blocks.PartLen, 0, 1)

	h = open()
	read("before one who goes on", h, d.pieces[3].Off, 4096, 1, 0)
	read("going on in the part", h, d.pieces[3].Off+4096, 4096, 0, 0)
	read("going on behind it", h, d.pieces[3].Off+8192, blocks.PartLen, 0, 1)

	whole := d.pieces[4]
	if _, err := d.blocks.GetBlock(bg, whole.Digest); err != nil {
		t.Fatal(err)
	}
	read("of a block that is here", open(), whole.Off+10, 100, 1, 0)
}

// What was dropped from memory and is wanted again is wanted more than once.
func TestAPartThatWasDroppedBringsTheBlock(t *testing.T) {
	d := before(t, 12<<20, 64<<20)
	first, h := d.pieces[0], d.handle(t, fs.OpenFlags{Read: true})
	if p, _ := d.read(t, bg, h, first.Off, 100); p != 1 {
		t.Fatalf("%d parts came", p)
	}
	for off := d.pieces[1].Off; off < uint64(len(d.data)); off += 128 << 10 { // more than what is held of opened blocks
		d.read(t, bg, h, off, 128<<10)
	}
	if p, w := d.read(t, bg, d.handle(t, fs.OpenFlags{Read: true}), first.Off, 100); p != 0 || w != 1 {
		t.Errorf("%d parts came, and %d blocks", p, w)
	}
}

// Whatever the reads are, and however little is remembered, they show the file.
func TestReadsAloneShowTheFile(t *testing.T) {
	for _, plain := range []int64{1, 1 << 20, 64 << 20} {
		d := before(t, 6<<20, plain)
		r := rand.New(rand.NewPCG(uint64(plain), 3))
		h, parts := d.handle(t, fs.OpenFlags{Read: true}), 0
		for range 400 {
			if r.IntN(3) == 0 {
				h = d.handle(t, fs.OpenFlags{Read: true})
			}
			off, n := r.Uint64N(uint64(len(d.data))), 1+r.IntN(1<<r.IntN(19))
			if r.IntN(2) == 0 {
				pc := d.pieces[r.IntN(len(d.pieces))]
				off = pc.Off + min(pc.Length-1, uint64(r.IntN(4)*blocks.PartLen))
			}
			p, _ := d.read(t, bg, h, off, n)
			parts += p
		}
		if parts == 0 {
			t.Error("nothing was read alone")
		}
	}
}

// All of a block of which a part was read alone is asked for when nobody reads any more, unless its reader may not have it.
func TestTheRestIsAskedForLater(t *testing.T) {
	d := before(t, 6<<20, 64<<20)
	asked := func() []blocks.Digest {
		d.blocks.mu.Lock()
		defer d.blocks.mu.Unlock()
		return slices.Clone(d.blocks.rests)
	}
	open := func() *fs.Handle { return d.handle(t, fs.OpenFlags{Read: true}) }
	d.read(t, someone, open(), d.pieces[0].Off, 100)
	d.read(t, someone, open(), d.pieces[1].Off, int(d.pieces[1].Length)) // all of it
	if n := len(asked()); n > 0 {
		t.Errorf("%d blocks are asked for at once", n)
	}
	for range 200 {
		if time.Sleep(20 * time.Millisecond); len(asked()) > 0 {
			break
		}
	}
	if got := asked(); !slices.Equal(got, []blocks.Digest{d.pieces[0].Digest}) {
		t.Errorf("%d blocks were asked for", len(got))
	}
	d.p.mu.Lock()
	d.p.deny = notAhead
	d.p.mu.Unlock()
	d.read(t, someone, open(), d.pieces[2].Off, 100)
	time.Sleep(time.Second)
	if n := len(asked()); n != 1 {
		t.Errorf("%d blocks were asked for, one for a reader that may not have it", n)
	}
}

// A gate is asked about what comes, not about all of the block.
func TestTheGateIsAskedForAPart(t *testing.T) {
	d := before(t, 6<<20, 64<<20)
	d.p.take()
	d.read(t, someone, d.handle(t, fs.OpenFlags{Read: true}), d.pieces[0].Off, 100)
	asks := d.p.take()
	if len(asks) != 1 || asks[0].Blocks != 1 || asks[0].Bytes != blocks.PartLen || asks[0].Refs[0].Digest != d.pieces[0].Digest {
		t.Errorf("asked %+v", asks)
	}
	d.p.deny = withheld
	if _, err := d.handle(t, fs.OpenFlags{Read: true}).Read(someone, int64(d.pieces[1].Off), make([]byte, 100)); !errs.Is(err, errs.Withheld) {
		t.Errorf("refused: %v", err)
	}
}

// Who reads here and there in a large file need not wait for each manifest; one who may have nothing ahead has to.
func TestReadsAloneBringManifestsAhead(t *testing.T) {
	for _, let := range []bool{true, false} {
		d, p, _ := guardedWith(t, 1000, 1)
		far, r := p.store.peers[0], rand.New(rand.NewPCG(5, 3))
		var some []blocks.Ref // a file of thousands of blocks, which are four
		for i := range 4 {
			b, ref, err := d.sealer.AppendData(nil, bytes.Repeat([]byte{byte(i)}, 3*blocks.PartLen))
			if err == nil {
				err = far.PutBlock(bg, b)
			}
			if err != nil {
				t.Fatal(err)
			}
			some = append(some, ref)
		}
		refs := make([]blocks.Ref, 6000)
		for i := range refs {
			refs[i] = some[r.IntN(len(some))]
		}
		c, manifests, err := content.Build(refs, d.sealer)
		if err != nil || c.Depth != 2 || len(manifests) > 2*16 {
			t.Fatalf("%+v, %d manifests, %v", c, len(manifests), err)
		}
		for _, m := range manifests {
			if err := far.PutBlock(bg, m); err != nil {
				t.Fatal(err)
			}
		}
		e, err := d.names.Lookup(namespace.Root, "file")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.names.Commit(e.ID, e.Versions, c, e.Mtime+1); err != nil {
			t.Fatal(err)
		}
		if !let {
			p.deny = notAhead
		}
		read := func() {
			off := int64(1 + r.Uint64N(c.Size-1))
			if n, err := d.handle(t, fs.OpenFlags{Read: true}).Read(fs.WithReader(bg, fs.Reader{PID: 7}), off, make([]byte, 1)); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		aheadAsked := func() (asks []fs.Ask) {
			for _, a := range p.take() {
				if a.Ahead {
					asks = append(asks, a)
				}
			}
			return asks
		}
		read()
		var asks []fs.Ask
		for end := time.Now().Add(5 * time.Second); len(asks) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			asks = aheadAsked()
		}
		rest := len(manifests) - 2 // but the root and the leaf that was needed
		if len(asks) != 1 || asks[0].Blocks != rest || asks[0].Bytes != 0 {
			t.Fatalf("asked for %+v, want %d manifests", asks, rest)
		}
		for range 3 {
			read()
		}
		if asks := aheadAsked(); len(asks) > 0 {
			t.Errorf("asked again: %+v", asks)
		}
		want := 0
		if let {
			want = rest
		}
		ahead := func() int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.ahead
		}
		for end := time.Now().Add(5 * time.Second); ahead() != want && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if n := ahead(); n != want {
			t.Errorf("%d manifests came ahead, want %d", n, want)
		}
	}
}
