package namespace

import (
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

// Two devices that only meet a third without keys show the same, and a fourth that joins when
// they are gone gets all of it from the blind one.
func TestBlindReplicaPassesEverythingOn(t *testing.T) {
	w := newMemWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	vault := w.addDevice(&device{name: "vault", blind: true})
	meet := func() {
		for range 2 {
			for _, d := range []*device{a, b} {
				pull(t, vault, d, -1)
				pull(t, d, vault, -1)
			}
		}
	}
	dir := mkdir(t, a.Replica, Root, "dir")
	f := mkfile(t, a.Replica, dir.ID, "f", 1)
	must(0, a.SetXattr(f.ID, "user.x", []byte("y"), XattrAny))
	mkfile(t, a.Replica, Root, "gone", 2)
	meet()
	must(a.Commit(f.ID, nil, content(3), Now))
	must(b.Commit(f.ID, nil, content(4), Now))
	must(b.Remove(Root, "gone", false))
	_, _, err := b.Rename(Root, "dir", Root, "moved", RenameReplace)
	must(0, err)
	meet()
	vault.close()
	vault.open() // its rows are read again
	meet()
	late := w.addMem("late")
	pull(t, late, vault, -1)
	for _, d := range []*device{b, late} {
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
		if got, want := everything(t, d.Replica), everything(t, a.Replica); len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("%s shows %q, not %q", d.name, got, want)
		}
	}
	if n, last := vault.Quarantined(); n > 0 {
		t.Error(n, last)
	}
	if _, err := vault.Create(Root, "x", Spec{Kind: File}); !errs.Is(err, errs.Unsupported) {
		t.Error("a blind replica writes:", err)
	}
	if page, err := vault.List(Root, 0, 10); err != nil || len(page) != 0 {
		t.Error("a blind replica shows something:", page, err)
	}
	if n, err := vault.Collect(t.Context()); n != 0 || err != nil {
		t.Error(n, err)
	}
	// A blind replica checks signatures like any other.
	fs, _ := frames(t, a, Claims{})
	bad := append([]byte(nil), fs[0]...)
	bad[len(bad)-1] ^= 1
	fresh := w.addDevice(&device{name: "fresh vault", blind: true})
	if err := fresh.Apply(t.Context(), a.id(), bad); !errs.Is(err, errs.Corrupt) {
		t.Error("a changed record passed:", err)
	}
}
