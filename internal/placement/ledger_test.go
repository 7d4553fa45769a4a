package placement

import (
	"math/rand/v2"
	"testing"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

func device(b byte) ident.DeviceID { return ident.DeviceID{b} }

func dot(dev byte, seq uint64) namespace.Dot {
	return namespace.Dot{Writer: ident.Writer{Device: device(dev), Incarnation: 1}, Seq: seq}
}

func openTestLedger(t *testing.T, dir string) (*ledger, *kv.DB) {
	t.Helper()
	db, err := kv.Open(dir, [32]byte{1}, kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := openLedger(db)
	if err != nil {
		t.Fatal(err)
	}
	return l, db
}

// A ledger answers like a plain set, says the same over the wire, and after it was reopened.
func TestLedgerIsASet(t *testing.T) {
	dir := t.TempDir()
	l, db := openTestLedger(t, dir)
	rng := rand.New(rand.NewPCG(3, 4))
	model := map[ident.DeviceID]map[namespace.Dot]bool{}
	for range 5000 {
		dev, d, on := device(byte(rng.IntN(3))), dot(byte(rng.IntN(3)), 1+rng.Uint64N(200)), rng.IntN(3) > 0
		if model[dev] == nil {
			model[dev] = map[namespace.Dot]bool{}
		}
		if news := l.set(dev, on, d); news != (model[dev][d] != on) {
			t.Fatal("set does not tell what is news")
		}
		model[dev][d] = on
	}
	check := func(what string, l *ledger) {
		t.Helper()
		for dev, m := range model {
			for d, on := range m {
				if l.keeps(dev, []namespace.Dot{dot(99, 1), d}) != on {
					t.Fatalf("%s: %v of %v is not %v", what, d, dev.Short(), on)
				}
			}
		}
	}
	check("in memory", l)

	other, odb := openTestLedger(t, t.TempDir())
	defer odb.Close()
	for dev := range model {
		frame := wire.Marshal(announcement{Full: true, Kept: l.encode(dev)})
		_, full, err := parseAnnouncement(frame)
		if err != nil {
			t.Fatal(err)
		}
		other.replace(dev, full)
	}
	check("over the wire", other)

	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	l, db = openTestLedger(t, dir)
	defer db.Close()
	check("reopened", l)
}

func FuzzParseAnnouncement(f *testing.F) {
	k := keptDots{}
	k.set(dot(1, 7), true)
	f.Add(wire.Marshal(announcement{Full: true, Kept: []writerBits{{Device: make([]byte, 32), Incarnation: 1, Bits: encodeBitmap(k[dot(1, 7).Writer])}}}))
	f.Add(wire.Marshal(announcement{Changes: []keepChange{newKeepChange(namespace.Root, []namespace.Dot{dot(1, 2)}, true)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, full, err := parseAnnouncement(b)
		if err != nil {
			return
		}
		for _, m := range full {
			m.Contains(1)
			_ = encodeBitmap(m)
		}
		for _, c := range a.Changes {
			_, _, _ = c.parse()
		}
	})
}

func FuzzParseHold(f *testing.F) {
	f.Add(wire.Marshal(holdRequest{Nodes: [][]byte{make([]byte, 16)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if ns, err := parseHold(b); err == nil && len(ns) > maxNodes {
			t.Fatal("too many nodes")
		}
	})
}
