package namespace

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/ident"
)

// future seals what some devices write as payloads of a version to come.
type future struct {
	*seal.Sealer
	devices []ident.DeviceID
}

func (f future) SealRecord(header, payload []byte) []byte {
	if slices.Contains(f.devices, ident.DeviceID(header[:32])) {
		payload = bytes.Clone(payload)
		payload[0] = payloadVersion + 1
	}
	return f.Sealer.SealRecord(header, payload)
}

// Records of a newer version are kept, claimed and passed on by a device that cannot read them;
// it shows them after its update, and nothing of what anybody did meanwhile is lost.
func TestNewerRecordsAreKeptAndShownLater(t *testing.T) {
	w := newMemWorld(t, 1, 0)
	add := func(name string, reads uint8) *device {
		d := &device{name: name, reads: reads}
		seedKey(d, "new")
		d.seals = future{w.sealer, []ident.DeviceID{ident.DeviceIDOf(d.key)}}
		return w.addDevice(d)
	}
	a, old := add("new", payloadVersion+1), add("old", payloadVersion)
	both := func() {
		for range 3 {
			pull(t, a, old, -1)
			pull(t, old, a, -1)
		}
	}
	shared := mkfile(t, old.Replica, Root, "shared", 1)
	removed := mkfile(t, old.Replica, Root, "removed", 2)
	both()
	dir := mkdir(t, a.Replica, Root, "dir")
	for i := range 700 { // more than a transaction
		mkfile(t, a.Replica, dir.ID, fmt.Sprint(i), 100+i)
	}
	must(a.Commit(shared.ID, nil, content(3), Now))
	must(a.Remove(Root, "removed", false))
	both()
	wantNames(t, old.Replica, Root, "shared", "removed") // as it was
	if got, want := old.Claims().Upto(a.self), a.Synced(); got != want {
		t.Errorf("claims %d of %d", got, want)
	}
	if n := old.Newer(10_000); n != 1400+2+2 {
		t.Errorf("%d registers of a newer version", n)
	}
	if h := old.Hello(a.id()); h.Settled {
		t.Error("what it cannot read is to be compared")
	}
	if n, last := old.Quarantined(); n > 0 || len(old.Frozen()) > 0 {
		t.Errorf("refused: %d, %v, %v", n, last, old.Frozen())
	}
	checkView(t, old.Replica)
	if n, err := old.Collect(t.Context()); n != 0 || err != nil {
		t.Error("collected beside what cannot be read:", n, err)
	}
	must(old.Commit(shared.ID, nil, content(4), Now)) // without having seen the other
	must(old.Commit(removed.ID, nil, content(5), Now))
	both()

	late := add("late", payloadVersion+1) // has it all from the one that cannot read it
	pull(t, late, old, -1)
	if got, want := fmt.Sprint(everything(t, late.Replica)), fmt.Sprint(everything(t, a.Replica)); got != want {
		t.Errorf("passed on:\n%s\nnot\n%s", got, want)
	}
	old.reopen()
	wantNames(t, old.Replica, Root, "shared", "removed")
	old.reads = payloadVersion + 1
	old.reopen()
	checkView(t, old.Replica)
	if n := old.Newer(10); n != 0 {
		t.Errorf("%d registers still unread", n)
	}
	w.heal()
	w.converged()
	names := listing(t, old.Replica, Root)
	if len(names) != 4 || !slices.ContainsFunc(names, isCopy) {
		t.Errorf("%q: the concurrent edits", names)
	}
	wantNames(t, old.Replica, dir.ID, listing(t, a.Replica, dir.ID)...)
}

// A replica that gets keys later shows what it held without them.
func TestBlindReplicaGetsKeys(t *testing.T) {
	w := newMemWorld(t, 1, 1)
	a := w.devices[0]
	vault := w.addDevice(&device{name: "vault", blind: true})
	d := mkdir(t, a.Replica, Root, "dir")
	mkfile(t, a.Replica, d.ID, "x", 1)
	pull(t, vault, a, -1)
	vault.blind = false
	vault.reopen()
	wantNames(t, vault.Replica, d.ID, "x")
	w.heal()
	w.converged()
}

// A folder that is empty for all that its remover can read holds a file of a newer version: it
// must be there when that can be read.
func TestNothingIsCollectedBesideWhatCannotBeRead(t *testing.T) {
	w := newMemWorld(t, 1, 0)
	var d [2]*device
	for i, name := range []string{"new", "old"} {
		d[i] = &device{name: name, reads: payloadVersion + 1 - uint8(i)}
		seedKey(d[i], "new")
		d[i].seals = future{w.sealer, []ident.DeviceID{ident.DeviceIDOf(d[i].key)}}
		w.addDevice(d[i])
	}
	a, old := d[0], d[1]
	dir := mkdir(t, old.Replica, Root, "dir")
	mkfile(t, old.Replica, Root, "gone", 1)
	w.heal()
	mkfile(t, a.Replica, dir.ID, "file", 1)
	w.heal()
	must(old.Remove(Root, "dir", true))
	must(old.Remove(Root, "gone", false))
	w.heal()
	wantNames(t, old.Replica, Root)
	wantNames(t, a.Replica, dir.ID, "file")
	must(0, old.Acknowledged(a.id(), a.Claims()))
	if n := must(old.Collect(t.Context())); n != 0 {
		t.Errorf("%d registers collected", n)
	}
	old.reads = payloadVersion + 1
	old.reopen()
	w.heal()
	w.converged()
	wantNames(t, old.Replica, dir.ID, "file")
	must(0, old.Acknowledged(a.id(), a.Claims()))
	if n := must(old.Collect(t.Context())); n == 0 {
		t.Error("nothing is ever collected")
	}
	w.converged()
}

// A program from before names could go alone shows them as they were, until its update.
func TestRemovedNamesBeforeAnUpdate(t *testing.T) {
	w := newMemWorld(t, 1, 0)
	var d [2]*device
	for i, name := range []string{"new", "old"} {
		d[i] = &device{name: name, reads: payloadVersion - uint8(i)}
		seedKey(d[i], name)
		w.addDevice(d[i])
	}
	a, old := d[0], d[1]
	f := mkfile(t, a.Replica, Root, "f", 1)
	must(a.Link(f.ID, Root, "g"))
	pull(t, old, a, -1)
	must(a.Remove(Root, "f", false))
	pull(t, old, a, -1)
	wantNames(t, old.Replica, Root, "f", "g")
	if n, last := old.Quarantined(); n > 0 || old.Newer(10) != 1 {
		t.Errorf("%d refused, %v; %d of a newer version", n, last, old.Newer(10))
	}
	must(old.Commit(f.ID, nil, content(2), Now))
	pull(t, a, old, -1)
	wantNames(t, a.Replica, Root, "g")
	old.reads = payloadVersion
	old.reopen()
	wantNames(t, old.Replica, Root, "g")
	if e := must(old.Lookup(Root, "g")); e.Nlink != 1 || e.Content != content(2) {
		t.Errorf("%+v", e)
	}
	checkView(t, old.Replica)
}
