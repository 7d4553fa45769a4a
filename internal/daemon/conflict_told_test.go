package daemon

import (
	"testing"

	"github.com/shelffs/shelf/internal/namespace"
)

func TestToldConflicts(t *testing.T) {
	s := home(t)
	d := mustOpen(t, s, &lonely{})
	clash := func(dir byte, ids ...byte) namespace.Clash {
		c := namespace.Clash{Dir: namespace.NodeID{dir}, Versions: make([]namespace.ClashVersion, 1)}
		for _, id := range ids {
			c.Versions = append(c.Versions, namespace.ClashVersion{Entry: namespace.Entry{ID: namespace.NodeID{id}}})
		}
		return c
	}
	one, two, more := clash(1, 2), clash(1, 3), clash(1, 2, 4)
	told := &d.conflicts.told
	step := func(there []namespace.Clash, tell []namespace.Clash, left int) {
		t.Helper()
		for range 2 { // the second time by another process
			if err := told.keep(there); err != nil {
				t.Fatal(err)
			}
			if err := told.add(tell); err != nil {
				t.Fatal(err)
			}
			if got := told.fresh(there); len(got) != left {
				t.Errorf("%d are to be told, want %d", len(got), left)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			d = mustOpen(t, s, &lonely{})
			told = &toldConflicts{}
			if err := told.load(d.meta); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := []namespace.Clash{one, two}
	step(all, nil, 2)
	step(all, []namespace.Clash{two}, 1)
	step(all, []namespace.Clash{one}, 0)
	step([]namespace.Clash{more, two}, nil, 1) // a further version of it
	step([]namespace.Clash{two}, nil, 0)
	step(all, nil, 1) // it was settled, and is there again
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
