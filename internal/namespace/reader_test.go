package namespace

import (
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

// A reader sees everything and writes nothing; what it signs all the same nobody takes, while it goes
// on to receive, and those who hear of its records from it take what others wrote.
func TestReader(t *testing.T) {
	w := newWorld(t, 1, 0)
	w.tolerant = true
	a, b := w.add("a"), w.add("b")
	reader := w.addDevice(&device{name: "reader", reader: true})
	f := mkfile(t, a.Replica, Root, "f", 1)
	pull(t, reader, a, -1)
	if _, err := reader.Lookup(Root, "f"); err != nil {
		t.Error("a reader does not see:", err)
	}
	if _, err := reader.Create(Root, "g", Spec{Kind: File, Mode: 0o644}); !errs.Is(err, errs.ReadOnly) {
		t.Error("a reader creates:", err)
	}
	if _, err := reader.Commit(f.ID, nil, content(2), Now); !errs.Is(err, errs.ReadOnly) {
		t.Error("a reader writes:", err)
	}

	reader.reader = false // as its own program may believe
	mkfile(t, reader.Replica, Root, "stolen", 1)
	must(0, reader.Sync(t.Context()))
	reader.reader = true
	pull(t, b, reader, -1)
	if _, err := b.Lookup(Root, "stolen"); !errs.Is(err, errs.NotExist) {
		t.Error("what a reader wrote is taken:", err)
	}
	if _, err := b.Lookup(Root, "f"); err != nil {
		t.Error("what others wrote does not come by way of a reader:", err)
	}
	if n, _ := b.Quarantined(); n == 0 {
		t.Error("nothing is said of it")
	}
	mkfile(t, a.Replica, Root, "later", 1)
	pull(t, reader, a, -1)
	pull(t, b, reader, -1)
	if _, err := b.Lookup(Root, "later"); err != nil {
		t.Error("what a reader wrote is in the way of others:", err)
	}
}
