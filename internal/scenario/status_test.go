package scenario

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// The status of a folder names the devices that have all of it, also those that are away, and
// an empty file in it changes nothing.
func TestStatusOfAFolder(t *testing.T) {
	m := newMemory()
	a, b := newMemoryDevice(t, m, "a"), newMemoryDevice(t, m, "b")
	a.create()
	a.admit(b)
	if err := a.sys().Mkdir("/dir", 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, a, "/dir/one", strings.Repeat("1", 300_000))
	put(t, a, "/dir/two", strings.Repeat("2", 10))
	put(t, a, "/dir/empty", "")
	agree(t, []actor{a, b}, "/dir/two=222")
	copyOf := func(name string) (c controlapi.Copy) {
		s, err := a.dev.PathStatus(context.Background(), "/dir")
		if err != nil {
			t.Fatal(err)
		}
		if s.Files != 3 || s.Size != 300_010 || !s.Complete || s.LocalBytes != s.Size || s.Why != "" {
			t.Errorf("%+v", s)
		}
		for _, x := range s.Copies {
			if x.Name == name {
				c = x
			}
		}
		return c
	}
	if err := b.pin("/dir"); err != nil {
		t.Fatal(err)
	}
	if c := copyOf("a"); !c.Self || !c.Complete {
		t.Errorf("a: %+v", c)
	}
	eventually(t, 10*time.Second, "b is named", func() bool { c := copyOf("b"); return c.Connected && c.Complete })
	b.away()
	eventually(t, 10*time.Second, "b is named while it is away", func() bool { c := copyOf("b"); return !c.Connected && c.Complete })
	w, err := a.dev.Why(context.Background(), "/dir")
	if err != nil || !w.Here || w.Missing != 0 {
		t.Errorf("%+v, %v", w, err)
	}
}

// A listing says of files how much is here, and of folders nothing: that would take a walk.
func TestListOfAFolder(t *testing.T) {
	a := newMemoryDevice(t, newMemory(), "a")
	a.create()
	if err := a.sys().Mkdir("/dir", 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, a, "/file", "four")
	seen := map[string]*controlapi.Here{}
	for path, want := range map[string]string{"/": "dir file", "/dir": ""} {
		var names []string
		err := a.dev.List(context.Background(), path, func(e controlapi.Entry) error {
			names = append(names, e.Name)
			seen[e.Name] = e.Here
			return nil
		})
		slices.Sort(names)
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%s lists %q, %v", path, got, err)
		}
	}
	if seen["dir"] != nil {
		t.Errorf("of the folder: %+v", *seen["dir"])
	}
	eventually(t, 10*time.Second, "the file is all here", func() bool {
		var h controlapi.Here
		err := a.dev.List(context.Background(), "/file", func(e controlapi.Entry) error { h = *e.Here; return nil })
		return err == nil && h == controlapi.Here{LocalBytes: 4, Complete: true}
	})
}
