package namespace

import (
	"bytes"
	"testing"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
)

// faulty writes the name "bad" so that nobody accepts it, as a program with a bug would: signed,
// sealed, and invalid.
type faulty struct{ *seal.Sealer }

func (f faulty) SealRecord(header, payload []byte) []byte {
	return f.Sealer.SealRecord(header, bytes.Replace(payload, []byte("bad"), []byte("b/d"), 1))
}

// blinkered takes the name "bad" for an invalid one.
type blinkered struct{ *seal.Sealer }

func (b blinkered) OpenRecord(header, sealed []byte) ([]byte, error) {
	p, err := b.Sealer.OpenRecord(header, sealed)
	return bytes.Replace(p, []byte("bad"), []byte("b/d"), 1), err
}

func (d *device) reopen() {
	d.t.Helper()
	d.close()
	d.open()
}

// frozenWorld is three devices, of which the first has signed something invalid after "before",
// and something valid after that.
func frozenWorld(t *testing.T) *world {
	w := newMemWorld(t, 1, 3)
	w.tolerant = true
	a := w.devices[0]
	mkfile(t, a.Replica, Root, "before", 1)
	w.heal()
	a.seals = faulty{w.sealer}
	a.reopen()
	mkfile(t, a.Replica, Root, "bad", 2)
	must(0, a.Sync(t.Context()))
	mkfile(t, a.Replica, Root, "after", 3)
	mkfile(t, w.devices[1].Replica, Root, "of b", 4)
	mkfile(t, w.devices[2].Replica, Root, "of c", 5)
	w.heal()
	return w
}

// A device that signs nonsense is frozen by all others, over restarts too; nobody else is held
// up, and everybody can see what is wrong.
func TestSignedNonsenseFreezesItsWriter(t *testing.T) {
	w := frozenWorld(t)
	a, b, c := w.devices[0], w.devices[1], w.devices[2]
	frozen := func() {
		t.Helper()
		for _, d := range []*device{b, c} {
			wantNames(t, d.Replica, Root, "before", "of b", "of c")
			f := d.Frozen()
			if len(f) != 1 || f[0].Writer != a.self || f[0].From != 3 || f[0].Upto != a.Written() || f[0].Why != "record: value" {
				t.Fatalf("%s: %+v", d.name, f)
			}
			if n := d.Claims().Upto(a.self); n != 2 {
				t.Errorf("%s claims %d of the frozen device", d.name, n)
			}
			checkView(t, d.Replica)
		}
		if by := a.FrozenBy(); len(by) != 2 {
			t.Errorf("the frozen device is told of %d that refuse it", len(by))
		}
	}
	frozen()
	wantNames(t, a.Replica, Root, "before", "bad", "after", "of b", "of c") // it is brought up to date like any other
	for _, d := range w.devices {
		d.reopen()
	}
	mkfile(t, a.Replica, Root, "later", 6)
	w.heal()
	frozen()

	// Others go on, through whomever.
	mkfile(t, c.Replica, Root, "more of c", 7)
	pull(t, b, a, -1)
	pull(t, a, c, -1)
	pull(t, b, a, -1)
	wantNames(t, b.Replica, Root, "before", "of b", "of c", "more of c")
	if b.Claims().Upto(c.self) != c.Synced() {
		t.Error("what another wrote is not claimed")
	}
	list := must(b.Refused())
	if len(list) == 0 || list[0].Writer != a.self || list[0].Seq != 3 || list[0].Why != "record: value" || list[0].Size == 0 {
		t.Errorf("refused: %+v", list)
	}
}

// Once it is mended, the device writes its work again under a new incarnation: all have it.
func TestFrozenWriterBeginsAnew(t *testing.T) {
	w := frozenWorld(t)
	a, b := w.devices[0], w.devices[1]
	wantKind(t, a.Thaw(b.id()), errs.NotExist)

	must(0, b.Thaw(a.id())) // nothing has been mended
	w.heal()
	if len(b.Frozen()) != 1 {
		t.Error("not frozen again")
	}
	a.seals = nil
	a.reopen()
	w.heal() // it hears again that it is frozen
	must(0, a.Thaw(a.id()))
	w.heal()
	w.heal()
	w.converged()
	wantNames(t, b.Replica, Root, "before", "bad", "after", "of b", "of c")
	for _, d := range w.devices {
		if len(d.Frozen()) > 0 || len(d.FrozenBy()) > 0 {
			t.Errorf("%s still says that somebody is frozen", d.name)
		}
	}
	if a.Copied() {
		t.Error("taken for a copy")
	}
	must(a.Remove(Root, "bad", false))
	mkfile(t, a.Replica, Root, "on", 8)
	w.heal()
	w.converged()
	wantNames(t, b.Replica, Root, "before", "after", "of b", "of c", "on")
}

// Where the fault was on this side, an update and a word are enough.
func TestThawWhereTheFaultWasHere(t *testing.T) {
	w := newMemWorld(t, 1, 3)
	w.tolerant = true
	a, b := w.devices[0], w.devices[1]
	b.seals = blinkered{w.sealer}
	b.reopen()
	mkfile(t, a.Replica, Root, "bad", 1)
	mkfile(t, a.Replica, Root, "after", 2)
	w.heal()
	wantNames(t, b.Replica, Root)
	wantNames(t, w.devices[2].Replica, Root, "bad", "after")
	b.seals = nil
	b.reopen()
	w.heal()
	wantNames(t, b.Replica, Root)
	must(0, b.Thaw(a.id()))
	w.heal()
	w.converged()
	wantNames(t, b.Replica, Root, "bad", "after")
}

// What is not signed by a device freezes nobody: anybody could have made it.
func TestOnlySignaturesFreeze(t *testing.T) {
	w := newMemWorld(t, 1, 3)
	a, b, liar := w.devices[0], w.devices[1], w.devices[2]
	mkfile(t, a.Replica, Root, "x", 1)
	pull(t, liar, a, -1)
	fs, _ := frames(t, liar, Claims{})
	for i := range 3 {
		bad := remake(t, fs[0], func(f *frame) {
			switch r := f.records[1].bytes; i {
			case 0:
				f.records[1].bytes = flip(r, 400)
			case 1:
				f.records[1].bytes = r[:40]
			case 2:
				f.batches[0].sig = flip(f.batches[0].sig, 7)
			}
		})
		wantKind(t, b.Apply(t.Context(), liar.id(), bad), errs.Corrupt)
	}
	if f := b.Frozen(); len(f) > 0 {
		t.Errorf("%+v", f)
	}
	pull(t, b, a, -1)
	wantNames(t, b.Replica, Root, "x")
}

// However much is refused, little of it is kept, also over many runs.
func TestQuarantineIsBounded(t *testing.T) {
	w := newMemWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	mkfile(t, a.Replica, Root, "x", 1)
	fs, _ := frames(t, a, Claims{})
	for run := range 3 {
		for i := range 2 * maxKept {
			bad := remake(t, fs[0], func(f *frame) {
				f.records[0].bytes = bytes.Repeat([]byte{1, byte(run), byte(i), byte(i >> 8)}, 4000)
			})
			wantKind(t, b.Apply(t.Context(), a.id(), bad), errs.Corrupt)
		}
		if n, _ := b.Quarantined(); n != 2*maxKept {
			t.Errorf("%d counted", n)
		}
		b.reopen()
	}
	list := must(b.Refused())
	if len(list) != maxKept || list[0].Bytes[1] != 2 || list[0].Size != 16000 || len(list[0].Bytes) != maxKeptBytes || list[0].From != a.id() {
		t.Errorf("%d kept, the newest %v", len(list), list[0].Bytes[:4])
	}
}
