package cache

import (
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

func TestBlocksLiveThroughReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	small, large, empty, huge := block(1, 100), block(2, 300<<10), block(3, 0), block(4, blocks.MaxSealed)
	border, over := block(5, smallMax), block(6, smallMax+1)
	all := []blocks.Sealed{small, large, empty, huge, border, over}
	for _, b := range all {
		must(t, s.PutBlock(bg, b))
		must(t, s.PutBlock(bg, b)) // again: no change
	}
	if st := s.Stats(); st.FetchedBlocks != 6 || st.Used != st.Fetched {
		t.Errorf("stats %+v", st)
	}
	audit(t, s)
	must(t, s.Close())
	if _, err := s.GetBlock(bg, small.Digest); !errs.Is(err, errs.Closed) {
		t.Errorf("after Close: %v", err)
	}
	s = open(t, dir, Options{})
	for _, b := range all {
		wantBytes(t, s, b)
		if n, err := s.Size(b.Digest); n != len(b.Bytes) || err != nil {
			t.Errorf("size %d, %v", n, err)
		}
	}
	audit(t, s)
	if _, err := s.GetBlock(bg, block(9, 1).Digest); !errs.Is(err, errs.NotExist) {
		t.Errorf("absent block: %v", err)
	}
	if err := s.PutBlock(bg, blocks.Sealed{Digest: small.Digest, Bytes: make([]byte, blocks.MaxSealed+1)}); !errs.Is(err, errs.TooLarge) {
		t.Errorf("too large: %v", err)
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := s.GetBlock(ctx, small.Digest); !errs.Is(err, errs.Interrupted) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestOwnersMakeTheClass(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	a, b, c := block(1, 50<<10), block(2, 500), block(3, 50<<10)
	writing, written := Owner{Writing, node(1)}, Owner{Written, node(1)}
	pin, pin2, hold := Owner{Pin, node(1)}, Owner{Pin, node(2)}, Owner{Hold, node(1)}

	must(t, s.Stage(bg, node(1), a, b, a))
	wantClass(t, s, Staged, a.Digest, b.Digest)
	must(t, s.Settle(map[[16]byte][]blocks.Digest{node(1): {a.Digest}}))
	wantClass(t, s, Staged, a.Digest)
	wantClass(t, s, Fetched, b.Digest)
	must(t, s.Own(pin, a.Digest, b.Digest, c.Digest, blocks.Digest{}))
	wantClass(t, s, Pinned, b.Digest)
	wantClass(t, s, None, c.Digest)
	must(t, s.PutBlock(bg, c)) // owned before it came
	wantClass(t, s, Pinned, c.Digest)
	must(t, s.Own(pin, a.Digest)) // twice counts once
	must(t, s.Disown(written, a.Digest))
	wantClass(t, s, Pinned, a.Digest)
	must(t, s.Own(pin2, a.Digest))
	must(t, s.DisownAll(pin))
	wantClass(t, s, Pinned, a.Digest)
	wantClass(t, s, Fetched, b.Digest, c.Digest)
	must(t, s.Disown(pin, a.Digest)) // does not own it
	must(t, s.Disown(pin2, a.Digest))
	wantClass(t, s, Fetched, a.Digest)
	audit(t, s)

	must(t, s.Replace(hold, a.Digest, b.Digest))
	must(t, s.Replace(hold, b.Digest, c.Digest))
	wantClass(t, s, Fetched, a.Digest)
	wantClass(t, s, Pinned, b.Digest, c.Digest)
	owned := map[blocks.Digest]bool{}
	for d, err := range s.Owned(hold) {
		must(t, err)
		owned[d] = true
	}
	if !maps.Equal(owned, map[blocks.Digest]bool{b.Digest: true, c.Digest: true}) {
		t.Errorf("Owned: %v", owned)
	}
	must(t, s.Drop(bg, a.Digest, b.Digest, c.Digest))
	wantClass(t, s, None, a.Digest)
	wantClass(t, s, Pinned, b.Digest, c.Digest)
	must(t, s.Stage(bg, node(7), c))
	wantClass(t, s, Staged, c.Digest)
	for kind, want := range map[Kind]int{Writing: 1, Written: 0, Pin: 0, Hold: 1} {
		n := 0
		for _, err := range s.Owners(kind) {
			must(t, err)
			n++
		}
		if n != want {
			t.Errorf("%d owners of kind %d, want %d", n, kind, want)
		}
	}
	_ = writing
	audit(t, s)
	must(t, s.Close())
	s = open(t, dir, Options{})
	wantClass(t, s, Staged, c.Digest)
	wantClass(t, s, Pinned, b.Digest)
	audit(t, s)
}

// Random operations against a model; the sums always agree with the rows.
func TestModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	dir := t.TempDir()
	s := open(t, dir, Options{Limit: 1 << 30})
	var bs []blocks.Sealed
	for i := range 40 {
		bs = append(bs, block(uint64(i), []int{200, 17 << 10, 100 << 10}[i%3]))
	}
	here := map[blocks.Digest]bool{}
	owners := map[Owner]map[blocks.Digest]bool{}
	owns := func(o Owner) map[blocks.Digest]bool {
		if owners[o] == nil {
			owners[o] = map[blocks.Digest]bool{}
		}
		return owners[o]
	}
	class := func(d blocks.Digest) Class {
		c := Fetched
		for o, ds := range owners {
			if ds[d] && o.stages() {
				c = Staged
			} else if ds[d] && o.Kind == History && c == Fetched {
				c = Past
			} else if ds[d] && o.Kind != History && (c == Fetched || c == Past) {
				c = Pinned
			}
		}
		if !here[d] {
			return None
		}
		return c
	}
	for step := range 800 {
		o := Owner{Kind(1 + rng.IntN(5)), node(byte(rng.IntN(3)))}
		b, b2 := bs[rng.IntN(len(bs))], bs[rng.IntN(len(bs))]
		d, d2 := b.Digest, b2.Digest
		switch rng.IntN(10) {
		case 0:
			must(t, s.PutBlock(bg, b))
			here[d] = true
		case 1:
			must(t, s.Stage(bg, o.Node, b, b2))
			here[d], here[d2] = true, true
			owns(Owner{Writing, o.Node})[d] = true
			owns(Owner{Writing, o.Node})[d2] = true
		case 2:
			must(t, s.Own(o, d, d2))
			owns(o)[d], owns(o)[d2] = true, true
		case 3:
			must(t, s.Disown(o, d, d2))
			delete(owns(o), d)
			delete(owns(o), d2)
		case 4:
			must(t, s.DisownAll(o))
			delete(owners, o)
		case 5:
			must(t, s.Replace(o, d, d2))
			owners[o] = map[blocks.Digest]bool{d: true, d2: true}
		case 6:
			must(t, s.Settle(map[[16]byte][]blocks.Digest{o.Node: {d, d2}}))
			w := Owner{Writing, o.Node}
			for _, x := range []blocks.Digest{d, d2} {
				if owns(w)[x] {
					owns(Owner{Written, o.Node})[x] = true
				}
			}
			delete(owners, w)
		case 7:
			if class(d) == Fetched {
				delete(here, d)
			}
			must(t, s.Drop(bg, d))
		case 8:
			if here[d] {
				wantBytes(t, s, b)
			} else if _, err := s.GetBlock(bg, d); !errs.Is(err, errs.NotExist) {
				t.Fatalf("step %d: %v", step, err)
			}
		case 9:
			want := 0
			for _, x := range []blocks.Digest{{}, d, d2} {
				if !x.IsZero() {
					if !here[x] {
						break
					}
					owns(Owner{Writing, o.Node})[x] = true
				}
				want++
			}
			if n, err := s.StageHere(bg, o.Node, blocks.Digest{}, d, d2); n != want || err != nil {
				t.Fatalf("step %d: %d blocks staged, want %d (%v)", step, n, want, err)
			}
		}
		for _, b := range bs {
			if got, err := s.Class(b.Digest); err != nil || got != class(b.Digest) {
				t.Fatalf("step %d: %v, want %v (%v)", step, got, class(b.Digest), err)
			}
		}
		if step%100 == 99 {
			must(t, s.Sync(bg))
			audit(t, s)
			if step%200 == 199 {
				must(t, s.Close())
				s = open(t, dir, Options{Limit: 1 << 30})
			}
		}
	}
}

func TestDamageIsDroppedAndReported(t *testing.T) {
	dir := t.TempDir()
	type seen struct {
		d   blocks.Digest
		was Class
	}
	var reports []seen
	o := Options{OnCorrupt: func(d blocks.Digest, was Class) { reports = append(reports, seen{d, was}) }}
	s := open(t, dir, o)
	a, b, c := block(1, 100<<10), block(2, 100<<10), block(3, 100<<10)
	must(t, s.PutBlock(bg, a))
	must(t, s.Own(Owner{Pin, node(1)}, b.Digest))
	must(t, s.PutBlock(bg, b))
	must(t, s.Stage(bg, node(2), c))
	must(t, s.Close())
	file := segmentFiles(t, dir)[0]
	overwrite(t, file, 50<<10, []byte("damage"))
	overwrite(t, file, recordLen(100<<10), []byte("damage in the header"))
	s = open(t, dir, o)
	for i, x := range []blocks.Sealed{a, b} {
		if _, err := s.GetBlock(bg, x.Digest); !errs.Is(err, errs.NotExist) {
			t.Errorf("block %d: %v", i, err)
		}
	}
	wantBytes(t, s, c)
	wantClass(t, s, None, a.Digest, b.Digest)
	if len(reports) != 2 || reports[0] != (seen{a.Digest, Fetched}) || reports[1] != (seen{b.Digest, Pinned}) || s.Stats().Corrupt != 2 {
		t.Errorf("reports %v, stats %+v", reports, s.Stats())
	}
	must(t, s.PutBlock(bg, b)) // fetched again: has its class
	wantClass(t, s, Pinned, b.Digest)
	wantBytes(t, s, b)
	audit(t, s)
	must(t, s.Close())

	// Cut the file: what lay beyond is dropped at once, the rest is there.
	must(t, os.Truncate(file, 3*recordLen(100<<10)-4096))
	reports = nil
	s = open(t, dir, o)
	wantClass(t, s, None, b.Digest, c.Digest)
	if len(reports) == 0 || reports[0].was == None {
		t.Errorf("reports %v", reports)
	}
	audit(t, s)
	must(t, s.Close())
}

func TestScrubAndTrustedDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{TrustDisk: true})
	var bs []blocks.Sealed
	for i := range 20 {
		bs = append(bs, block(uint64(i), 20<<10))
		must(t, s.PutBlock(bg, bs[i]))
	}
	must(t, s.Sync(bg))
	for _, i := range []int64{3, 9, 15} {
		overwrite(t, segmentFiles(t, dir)[0], i*recordLen(20<<10)+5000, []byte("damage"))
	}
	if _, err := s.GetBlock(bg, bs[3].Digest); err != nil {
		t.Errorf("a trusting store checks: %v", err)
	}
	must(t, s.Damaged(bg, bs[3].Digest))
	must(t, s.Damaged(bg, bs[4].Digest)) // it is not
	wantClass(t, s, None, bs[3].Digest)
	wantClass(t, s, Fetched, bs[4].Digest)
	must(t, s.BeginRound(time.Unix(1000, 0)))
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if r, err := s.Scrub(ctx, 0); !errs.Is(err, errs.Interrupted) || r.Done() {
		t.Errorf("cancelled scrub: %+v %v", r, err)
	}
	res, err := s.Scrub(bg, 0)
	if err != nil || !res.Done() || res.Blocks != 17 || res.Bad != 2 || res.Bytes != 17*20<<10 {
		t.Errorf("scrub %+v, %v", res, err)
	}
	audit(t, s)
}

// A round goes on after a restart, passes every block once, and knows since when each is verified.
func TestScrubGoesOn(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	var all []blocks.Digest
	for i := range 50 {
		b := block(uint64(i), 10<<10)
		must(t, s.PutBlock(bg, b))
		all = append(all, b.Digest)
	}
	if r, err := s.Round(); err != nil || !r.Begun.IsZero() || !r.Verified(all[0]).IsZero() {
		t.Errorf("before the first: %+v %v", r, err)
	}
	first, second := time.Unix(1000, 0), time.Unix(2000, 0)
	must(t, s.BeginRound(first))
	steps := 0
	for {
		r, err := s.Scrub(bg, 100<<10)
		must(t, err)
		steps++
		passed := 0
		for _, d := range all {
			if r.Verified(d).Equal(first) {
				passed++
			}
		}
		if int64(passed) != r.Blocks || r.Blocks > int64(10*steps) {
			t.Fatalf("step %d: %d blocks verified, %d read", steps, passed, r.Blocks)
		}
		if share := float64(passed) / 50; math.Abs(share-r.Share()) > 0.25 {
			t.Errorf("step %d: share %.2f, %.2f of the blocks", steps, r.Share(), share)
		}
		if r.Done() {
			break
		}
		must(t, s.Close())
		s = open(t, dir, Options{})
	}
	if steps != 5 && steps != 6 {
		t.Errorf("%d steps", steps)
	}
	must(t, s.BeginRound(second))
	r, err := s.Round()
	if err != nil || !r.Begun.Equal(second) || !r.Verified(all[0]).Equal(first) {
		t.Errorf("next round: %+v %v", r, err)
	}
	must(t, s.BeginRound(time.Unix(3000, 0))) // the second did not pass everything
	if r, _ := s.Round(); !r.Verified(all[0]).Equal(first) {
		t.Errorf("a round that was given up counts: %+v", r)
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if _, err := Open(dir, testMaster, Options{}); !errs.Is(err, errs.Busy) {
		t.Errorf("opened twice: %v", err)
	}
	must(t, s.Close())
	must(t, s.Close())
	if _, err := Open(dir, [32]byte{1}, Options{}); !errs.Is(err, errs.Permission) {
		t.Errorf("wrong key: %v", err)
	}
}

// Many readers, writers, owners, a small limit: nobody gets wrong bytes, and the sums hold.
func TestConcurrentUse(t *testing.T) {
	dir := t.TempDir()
	const limit = 4 << 20
	s := open(t, dir, Options{Limit: limit})
	var bs []blocks.Sealed
	for i := range 120 {
		bs = append(bs, block(uint64(i), 3000+i%5*30000))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			o := Owner{Pin, node(byte(g))}
			for range 150 {
				b := bs[rng.IntN(len(bs))]
				var err error
				switch rng.IntN(7) {
				case 0, 1:
					if err = s.PutBlock(bg, b); errs.Is(err, errs.NoSpace) {
						err = nil
					}
				case 2, 3, 4:
					got, e := s.GetBlock(bg, b.Digest)
					if e == nil && string(got.Bytes) != string(b.Bytes) {
						e = errors.New("other bytes")
					}
					if !errs.Is(e, errs.NotExist) {
						err = e
					}
				case 5:
					if rng.IntN(4) == 0 {
						err = s.Replace(o, b.Digest, bs[rng.IntN(len(bs))].Digest)
					} else {
						err = s.Sync(bg)
					}
				case 6:
					if err = s.Stage(bg, node(byte(g)), b); err == nil {
						err = s.Settle(map[[16]byte][]blocks.Digest{node(byte(g)): nil})
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, s.Sync(bg))
	audit(t, s)
	st := s.Stats()
	if st.Corrupt != 0 || s.reserved != 0 {
		t.Errorf("stats %+v, %d reserved", st, s.reserved)
	}
	must(t, s.Close())
	s = open(t, dir, Options{Limit: limit})
	audit(t, s)
}
