package hydration

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// wants has a process ask for blocks of a file, each of so many bytes, and returns how to tell the outcome.
func (s *scene) wants(pid uint32, file int, ahead bool, bytes uint64, ds ...byte) func(error) {
	s.t.Helper()
	a := fs.Ask{Node: node(file), Ahead: ahead}
	for _, d := range ds {
		a.Refs = append(a.Refs, blocks.Ref{Digest: blocks.Digest{d}, Length: bytes})
		a.Blocks, a.Bytes = a.Blocks+1, a.Bytes+int64(bytes)
	}
	l, err := s.Admit(context.Background(), fs.Reader{PID: pid}, a)
	if err != nil {
		s.t.Fatal(err)
	}
	return l.Done
}

// The ledger tells which device sent how much of what a program read of a file, whether it waited for it or not, and
// keeps it.
func TestTheLedgerNamesTheSenders(t *testing.T) {
	s := newScene(t, Config{})
	cat := s.who.add(7, s.who.add(2, 1, "bash", "bash"), "cat", "cat")
	near, far := ident.DeviceID{1}, ident.DeviceID{2}
	for round := range 2 {
		done := s.wants(cat, 1, false, 10, 1, 2, 3)
		s.Came(blocks.Digest{1}, near)
		s.Came(blocks.Digest{2}, far)
		s.Came(blocks.Digest{3}, near)
		s.Came(blocks.Digest{9}, far) // for somebody else
		done(nil)
		s.wants(cat, 1, true, 100, 4)(nil) // told at once, and it comes later
		s.Came(blocks.Digest{4}, far)
		s.Came(blocks.Digest{4}, far) // once more, for somebody else
		s.wants(cat, 2, false, 10, 5)(nil)
		s.Came(blocks.Digest{5}, far)
		if err := s.Ledger().Flush(); err != nil {
			t.Fatal(err)
		}
		es := s.entries()
		n := int64(round + 1)
		if len(es) != 2 || !maps.Equal(es[0].From, map[ident.DeviceID]int64{near: 20 * n, far: 110 * n}) || es[0].Read != 30*n || es[0].Ahead != 100*n {
			t.Fatalf("%+v", es)
		}
		if !maps.Equal(es[1].From, map[ident.DeviceID]int64{far: 10 * n}) {
			t.Errorf("%+v", es[1])
		}
	}
}

// What did not come in time, and comes for another reason later, is nobody's.
func TestOnlyWhatARunBroughtHasASender(t *testing.T) {
	s := newScene(t, Config{})
	cat := s.who.add(7, s.who.add(2, 1, "bash", "bash"), "cat", "cat")
	s.wants(cat, 1, false, 10, 1)(errs.E("x", errs.Offline, "", nil))
	s.Came(blocks.Digest{1}, ident.DeviceID{1})
	s.wants(cat, 1, true, 10, 2)(nil) // withdrawn
	s.now = s.now.Add(awaitedTime + time.Second)
	s.Came(blocks.Digest{2}, ident.DeviceID{1})
	for _, e := range s.entries() {
		if len(e.From) > 0 {
			t.Errorf("%+v", e)
		}
	}
	for i := range 2 * maxAwaited / 64 { // what never comes takes no more memory than this
		ds := make([]blocks.Ref, 64)
		for k := range ds {
			ds[k].Digest = blocks.Digest{byte(i), byte(i >> 8), byte(k), 1}
		}
		if _, err := s.Admit(context.Background(), fs.Reader{PID: cat}, fs.Ask{Node: node(1), Blocks: 64, Ahead: true, Refs: ds}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.awaited.by); n != maxAwaited {
		t.Errorf("%d blocks are waited for", n)
	}
}
