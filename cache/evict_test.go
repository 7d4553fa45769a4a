package cache

import (
	"math/rand/v2"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

func TestTheLimitHolds(t *testing.T) {
	dir := t.TempDir()
	const limit = 8 << 20
	s := open(t, dir, Options{Limit: limit})
	var kept []blocks.Digest
	for i := range 20 {
		b := block(uint64(1000+i), 100<<10)
		must(t, s.Own(Owner{Pin, node(1)}, b.Digest))
		must(t, s.PutBlock(bg, b))
		kept = append(kept, b.Digest)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 400 {
		must(t, s.PutBlock(bg, block(uint64(i), 10+rng.IntN(200<<10))))
		if st := s.Stats(); st.Used > limit {
			t.Fatalf("after %d: used %d of %d", i, st.Used, limit)
		}
	}
	must(t, s.Sync(bg))
	if got := diskUsage(t, dir); got > limit {
		t.Errorf("segments take %d of %d", got, limit)
	}
	wantClass(t, s, Pinned, kept...)
	audit(t, s)
	if st := s.Stats(); st.Evictions == 0 || st.Fetched < limit/2 || st.Pinned != 20*recordLen(100<<10) {
		t.Errorf("stats %+v", st)
	}
	// Pins up to the brim: then nothing more can be admitted, and nothing pinned goes.
	var refused error
	for i := range 200 {
		b := block(uint64(5000+i), 100<<10)
		must(t, s.Own(Owner{Pin, node(2)}, b.Digest))
		if refused = s.PutBlock(bg, b); refused != nil {
			break
		}
		kept = append(kept, b.Digest)
	}
	if !errs.Is(refused, errs.NoSpace) {
		t.Fatalf("over the limit with pins: %v", refused)
	}
	if err := s.PutBlock(bg, block(9999, 200<<10)); !errs.Is(err, errs.NoSpace) {
		t.Errorf("fetched on top of pins: %v", err)
	}
	// That goes for small blocks too, but one that is here takes nothing more.
	refused = nil
	for i := range 1000 {
		b := block(uint64(6000+i), 4<<10)
		must(t, s.Own(Owner{Pin, node(2)}, b.Digest))
		if refused = s.PutBlock(bg, b); refused != nil {
			break
		}
		must(t, s.PutBlock(bg, b))
		kept = append(kept, b.Digest)
	}
	if !errs.Is(refused, errs.NoSpace) {
		t.Fatalf("small blocks over the limit: %v", refused)
	}
	must(t, s.PutBlock(bg, block(6000, 4<<10)))
	wantClass(t, s, Pinned, kept...)
	// A person's writes are taken all the same.
	w := block(7777, 4<<20)
	must(t, s.Stage(bg, node(3), w))
	wantClass(t, s, Staged, w.Digest)
	wantBytes(t, s, w)
	// What others acknowledged goes to get back under the limit.
	must(t, s.DisownAll(Owner{Writing, node(3)}))
	must(t, s.DisownAll(Owner{Pin, node(2)}))
	must(t, s.PutBlock(bg, block(9999, 200<<10)))
	if st := s.Stats(); st.Used > limit {
		t.Errorf("used %d of %d", st.Used, limit)
	}
	audit(t, s)
}

// What is used often survives a film that is streamed once, also after a restart.
func TestHotBlocksSurviveAScan(t *testing.T) {
	dir := t.TempDir()
	const limit = 16 << 20
	s := open(t, dir, Options{Limit: limit})
	var hot []blocks.Sealed
	for i := range 40 {
		hot = append(hot, block(uint64(i), 100<<10))
		must(t, s.PutBlock(bg, hot[i]))
	}
	use := func() {
		for _, b := range hot {
			if _, err := s.GetBlock(bg, b.Digest); errs.Is(err, errs.NotExist) {
				must(t, s.PutBlock(bg, b))
			}
		}
	}
	use()
	must(t, s.Close())
	s = open(t, dir, Options{Limit: limit})
	for round := range 6 {
		for i := range 150 { // with what is hot more than the limit, so that the first round is a matter of what the restart kept
			must(t, s.PutBlock(bg, block(uint64(10000+1000*round+i), 100<<10)))
		}
		n := 0
		classes, err := s.Has(digests(hot)...)
		must(t, err)
		for _, c := range classes {
			if c != None {
				n++
			}
		}
		if n < 35 {
			t.Errorf("round %d: %d of %d hot blocks left", round, n, len(hot))
		}
		use()
	}
	audit(t, s)
}

func digests(bs []blocks.Sealed) (ds []blocks.Digest) {
	for _, b := range bs {
		ds = append(ds, b.Digest)
	}
	return ds
}

func TestSetLimitEvicts(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for i := range 50 {
		must(t, s.PutBlock(bg, block(uint64(i), 100<<10)))
	}
	s.SetLimit(1 << 20)
	must(t, s.PutBlock(bg, block(100, 100)))
	if st := s.Stats(); st.Used > 1<<20 {
		t.Errorf("used %d", st.Used)
	}
	audit(t, s)
}

// Space comes back: by holes, by deleted files, and where no holes can be made by copying.
func TestSpaceIsReturned(t *testing.T) {
	for _, holes := range []bool{true, false} {
		dir := t.TempDir()
		var o Options
		o.fault.segment = 4 << 20
		s := open(t, dir, o)
		s.noPunch.Store(!holes)
		var all []blocks.Sealed
		for i := range 200 {
			all = append(all, block(uint64(i), 64<<10-100))
			must(t, s.PutBlock(bg, all[i]))
		}
		full := diskUsage(t, dir)
		if full < 200<<16 {
			t.Fatalf("only %d on the disk", full)
		}
		var drop, keep []blocks.Sealed
		for i, b := range all {
			if i%16 == 5 {
				keep = append(keep, b)
			} else {
				drop = append(drop, b)
			}
		}
		must(t, s.Drop(bg, digests(drop)...))
		s.compact(bg)
		if got := diskUsage(t, dir); holes && got > s.Stats().Fetched+4096*10 || got > 4<<20 {
			t.Errorf("holes %v: %d left on the disk for %d", holes, got, s.Stats().Fetched)
		}
		if !holes && len(segmentFiles(t, dir)) > 1 {
			t.Errorf("%d segments left", len(segmentFiles(t, dir)))
		}
		for _, b := range keep {
			wantBytes(t, s, b)
		}
		audit(t, s)
		must(t, s.Close())
		s = open(t, dir, o)
		for _, b := range keep {
			wantBytes(t, s, b)
		}
		must(t, s.Drop(bg, digests(keep)...))
		must(t, s.Close())
		s = open(t, dir, Options{})
		if got := diskUsage(t, dir); got > 64<<10 {
			t.Errorf("holes %v: %d left for nothing", holes, got)
		}
		audit(t, s)
	}
}

// A segment with little left in it is copied even where holes can be made: files would pile up.
func TestSparseSegmentsAreCopied(t *testing.T) {
	dir := t.TempDir()
	var o Options
	o.fault.segment = 4 << 20
	s := open(t, dir, o)
	var keep, drop []blocks.Sealed
	for i := range 300 {
		b := block(uint64(i), 64<<10-100)
		must(t, s.PutBlock(bg, b))
		if i%30 == 7 {
			keep = append(keep, b)
		} else {
			drop = append(drop, b)
		}
	}
	must(t, s.Own(Owner{Pin, node(1)}, keep[0].Digest))
	before := len(segmentFiles(t, dir))
	must(t, s.Drop(bg, digests(drop)...))
	s.compact(bg)
	if n := len(segmentFiles(t, dir)); n >= before || n > 2 {
		t.Errorf("%d segments, %d before", n, before)
	}
	for _, b := range keep {
		wantBytes(t, s, b)
	}
	wantClass(t, s, Pinned, keep[0].Digest)
	audit(t, s)
}

// What the reader of an open file comes to next stays while there is other that can go.
func TestExpectedBlocksAreLeased(t *testing.T) {
	const limit = 16 << 20
	for _, leased := range []bool{true, false} {
		s := open(t, t.TempDir(), Options{Limit: limit})
		var film []blocks.Digest
		for i := range 40 {
			b := block(uint64(i), 100<<10)
			must(t, s.PutBlock(bg, b))
			film = append(film, b.Digest)
		}
		for i := range 60 {
			must(t, s.PutBlock(bg, block(uint64(1000+i), 100<<10)))
		}
		if leased {
			for _, d := range film {
				if !s.Expect(d) {
					t.Fatal("not here")
				}
			}
		}
		for i := range 80 {
			must(t, s.PutBlock(bg, block(uint64(2000+i), 100<<10)))
		}
		n := 0
		for _, d := range film {
			if c, err := s.Class(d); err == nil && c != None {
				n++
			}
		}
		if leased && n < len(film) || !leased && n == len(film) {
			t.Errorf("leased %v: %d of %d blocks are here", leased, n, len(film))
		}
		if s.Expect(block(9999, 100).Digest) {
			t.Error("expects what is not here")
		}
		audit(t, s)
	}
}
