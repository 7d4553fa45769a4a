package hydration

import (
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

func (s *scene) entries() (out []Entry) {
	s.t.Helper()
	if err := s.Ledger().Each(func(e Entry) { out = append(out, e) }); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// One entry for each run and file, whatever the number of reads, and across writes to the store.
func TestTheLedgerAggregates(t *testing.T) {
	s := newScene(t, Config{})
	sh := s.who.add(2, 1, "bash", "bash")
	cat, cp := s.who.add(7, sh, "cat", "cat"), s.who.add(8, sh, "cp", "cp")
	begun := s.now
	for range 3 {
		for range 5 {
			s.now = s.now.Add(time.Second)
			_ = s.ask(cat, 1, 10)
			_ = s.asks(cat, 1, 7, true, nil)
			_ = s.ask(cat, 2, 1)
			_ = s.ask(cp, 1, 100)
			_ = s.asks(cp, 2, 100, false, errs.E("x", errs.Offline, "", nil)) // did not come
		}
		if err := s.Ledger().Flush(); err != nil {
			t.Fatal(err)
		}
	}
	es := s.entries()
	if len(es) != 3 {
		t.Fatalf("%+v", es)
	}
	e := es[0]
	if e.Node != node(1) || e.Program != "cat" || e.PID != cat || e.Parent != "bash" || e.Action != Allow || e.Sweep ||
		e.Read != 150 || e.Ahead != 105 || !e.First.Equal(begun.Add(time.Second)) || !e.Last.Equal(s.now) {
		t.Errorf("%+v", e)
	}
	if es[1].Run != e.Run || es[1].Read != 15 || es[2].Run == e.Run || es[2].Program != "cp" || es[2].Read != 1500 {
		t.Errorf("%+v", es[1:])
	}
	n := 0
	if err := s.Ledger().Of(e.Run, func(Entry) { n++ }); err != nil || n != 2 {
		t.Errorf("%d of the run: %v", n, err)
	}
}

// What is refused takes one entry a run, however many files it is about.
func TestRefusalsTakeOneEntry(t *testing.T) {
	s := newScene(t, Config{})
	pid := s.who.add(7, 1, "updatedb", "updatedb")
	for i := range 1000 {
		_ = s.ask(pid, i, 1)
		_ = s.asks(pid, i, 1, true, nil)
	}
	if es := s.entries(); len(es) != 1 || es[0].Refused != 1000 || !es[0].Node.IsZero() || es[0].Action != Refuse {
		t.Errorf("%d entries, %+v", len(es), es[0])
	}
}

// A run ends when it rests.
func TestRunsEndByResting(t *testing.T) {
	s := newScene(t, Config{})
	pid := s.who.add(7, 1, "cat", "cat")
	for _, d := range []time.Duration{0, restTime, restTime + 1} {
		s.now = s.now.Add(d)
		_ = s.ask(pid, 1, 1)
	}
	es := s.entries()
	if len(es) != 2 || es[0].Read != 2 || es[1].Read != 1 {
		t.Errorf("%+v", es)
	}
}

// Runs that rest are not kept in memory, but for what is to be told.
func TestRunsAreForgotten(t *testing.T) {
	s := newScene(t, Config{})
	nosy := s.who.add(7, 1, "nosy", "nosy")
	s.sweepThrough(func(int) uint32 { return nosy }, sweepFiles, sweepBytes, time.Millisecond)
	for i := range uint32(3000) {
		s.now = s.now.Add(time.Second)
		_ = s.ask(s.who.add(1000+i, 100_000+i, "cc1", "cc1"), int(i), 1)
	}
	if n := len(s.runs); n > 2*int(restTime/time.Second)+10 || len(s.Sweeps()) != 1 {
		t.Errorf("%d runs, %v", n, s.Sweeps())
	}
}

// The ledger holds so many entries, for so long, also across restarts; numbers are not used again.
func TestTheLedgerIsBounded(t *testing.T) {
	s := newScene(t, Config{})
	cp := s.who.add(7, 1, "cp", "cp")
	for i := range maxEntries + 500 {
		if i%1000 == 0 {
			s.now = s.now.Add(restTime + time.Second) // another run
			if err := s.Ledger().Flush(); err != nil {
				t.Fatal(err)
			}
		}
		_ = s.ask(cp, i, 1)
	}
	es := s.entries()
	if len(es) != maxEntries || es[0].Node != node(500) {
		t.Fatalf("%d entries from %v on", len(es), es[0].Node)
	}
	last := es[len(es)-1].Run
	if err := s.Gate.Close(); err != nil {
		t.Fatal(err)
	}
	s.open(Config{DB: s.db, Processes: s.who, Clock: func() time.Time { return s.now }})
	_ = s.ask(cp, 1, 1)
	if es = s.entries(); len(es) != maxEntries || es[len(es)-1].Run <= last {
		t.Errorf("after a restart: %d entries, run %d after %d", len(es), es[len(es)-1].Run, last)
	}
	s.now = s.now.Add(maxAge + time.Hour)
	_ = s.ask(cp, 1, 1)
	if es = s.entries(); len(es) != 1 {
		t.Errorf("after a month: %d entries", len(es))
	}
}

// A row that cannot be read is no entry, keeps nothing from being noted, and is dropped in time.
func TestARowOfAnotherVersionIsSkipped(t *testing.T) {
	s := newScene(t, Config{})
	b := s.db.Batch()
	if err := b.Set(s.Ledger().key(entryKey{run: 0, node: node(1)}), []byte("from the future")); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(kv.NoSync); err != nil {
		t.Fatal(err)
	}
	_ = s.ask(s.who.add(7, 1, "cat", "cat"), 1, 1)
	if es := s.entries(); len(es) != 1 || es[0].Program != "cat" {
		t.Errorf("%+v", es)
	}
}

func TestPinsAreNoted(t *testing.T) {
	s := newScene(t, Config{})
	s.Ledger().Pinned(node(3), 500, nil)
	if es := s.entries(); len(es) != 1 || es[0].Pinned != 500 || es[0].Node != node(3) || es[0].Program != "shelf pin" {
		t.Errorf("%+v", es)
	}
}

// note and what it is made of must be quick: a read waits for it, and never for the store.
func TestNotingDoesNotWaitForTheStore(t *testing.T) {
	s := newScene(t, Config{})
	s.Ledger().writing.Lock() // a flush is under way
	defer s.Ledger().writing.Unlock()
	done := make(chan error, 1)
	pid := s.who.add(7, 1, "cat", "cat")
	go func() { done <- s.ask(pid, 1, 1) }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a reader waits for the store")
	}
}
