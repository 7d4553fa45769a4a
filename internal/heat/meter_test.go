package heat

import (
	"log/slog"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// bench is a meter over a store that outlives it.
type bench struct {
	*Meter
	t     *testing.T
	db    *kv.DB
	clock func() time.Time
	now   time.Time // what clock says unless it is another's
}

func newBench(t *testing.T, clock func() time.Time) *bench {
	t.Helper()
	b := &bench{t: t, clock: clock, now: time.Unix(1_800_000_000, 0)}
	if clock == nil {
		b.clock = func() time.Time { return b.now }
	}
	var err error
	if b.db, err = kv.OpenMemory(kv.NewMemory()); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(func() { _ = b.Close(); _ = b.db.Close() })
	return b
}

func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.Meter, err = Open(b.db, b.clock, slog.New(slog.DiscardHandler)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) restart() {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

func (b *bench) rows() (n int) {
	b.t.Helper()
	if err := b.Flush(); err != nil {
		b.t.Fatal(err)
	}
	if err := b.db.ScanKeys(b.db.Key(tableHeat), func(kv.Key) bool { n++; return true }); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestHeatOutlivesRestarts(t *testing.T) {
	b := newBench(t, nil)
	for range 3 {
		b.Use(node(1))
		b.now = b.now.Add(24 * time.Hour)
	}
	b.Use(node(2))
	b.Brought(node(3), blocks.Digest{9})
	b.keep(map[namespace.NodeID]bool{node(1): true})
	before := b.All()
	b.restart()
	after := b.All()
	if len(before) != 3 || len(after) != 3 {
		t.Fatalf("%v, then %v", before, after)
	}
	for i := range before {
		x, y := before[i], after[i]
		if d := x.Heat - y.Heat; d > 0.001 || d < -0.001 || x.Node != y.Node || x.Ago != y.Ago || x.brought != y.brought || x.kept != y.kept {
			t.Errorf("%+v, then %+v", x, y)
		}
	}
	if f := b.Of(node(1)); f.Heat < 2.3 || f.Heat > 2.8 || !f.kept || f.Ago < 24*time.Hour {
		t.Errorf("three uses, a day apart: %+v", f)
	}
	if f := b.Of(node(3)); f.Heat != 0 || f.Ago != Never || f.brought != (digest{9}) {
		t.Errorf("merely brought: %+v", f)
	}
	b.now = b.now.Add(-10 * 365 * 24 * time.Hour) // and a clock that is wrong when the next daemon begins
	b.restart()
	if f := b.Of(node(1)); f.Heat < 2.3 {
		t.Errorf("after a start with a wrong clock: %+v", f)
	}
}

// A use costs no write; the rows are bounded, the coldest go first, and what is cold is forgotten.
func TestRowsAreFewAndLazy(t *testing.T) {
	b := newBench(t, nil)
	b.Use(node(0), node(0), node(0))
	if _, err := b.db.Get(b.rowKey(node(0))); err == nil {
		t.Error("written at once")
	}
	for i := 1; i < 3*maxRows; i++ {
		b.Use(node(i))
		b.now = b.now.Add(time.Second)
	}
	if n := b.rows(); n > maxRows || n < maxRows/2 {
		t.Errorf("%d rows", n)
	}
	if b.Of(node(0)).Heat < 2 || b.Of(node(1)).Heat != 0 || b.Of(node(3*maxRows-1)).Heat == 0 {
		t.Error("not the coldest went")
	}
	for range 12 {
		b.now = b.now.Add(HalfLife)
		b.rows()
	}
	if n := b.rows(); n != 0 || len(b.All()) != 0 {
		t.Errorf("%d rows after three months without use", n)
	}
}

func TestFreedIsColdUntilUsed(t *testing.T) {
	b := newBench(t, nil)
	b.Use(node(1), node(1), node(1))
	b.Free(node(1))
	b.restart()
	if f := b.Of(node(1)); f.Heat != 0 || !f.Freed {
		t.Errorf("%+v", f)
	}
	b.Use(node(1))
	if f := b.Of(node(1)); f.Heat != 1 || f.Freed {
		t.Errorf("used again: %+v", f)
	}
}
