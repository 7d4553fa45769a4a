package namespace

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// spelled is a world whose devices find names by another spelling.
func spelled(t testing.TB, seed int64, n int, s Spelling) *world {
	w := newWorld(t, seed, 0)
	w.spelling = s
	for i := range n {
		w.add(fmt.Sprintf("Dev%d", i))
	}
	return w
}

func alike(t testing.TB, r *Replica, dir NodeID, key string) []string {
	t.Helper()
	return must(r.Alike(dir, key))[0]
}

func TestAlike(t *testing.T) {
	w := spelled(t, 1, 2, alias.Windows)
	a, b := w.devices[0], w.devices[1]
	find := func(r *Replica, dir NodeID, key string, want ...string) {
		t.Helper()
		if got := alike(t, r, dir, key); !slices.Equal(got, want) {
			t.Errorf("%q finds %q, want %q", key, got, want)
		}
	}
	mkfile(t, a.Replica, Root, "Readme", 1)
	find(a.Replica, Root, "readme", "Readme")
	find(a.Replica, Root, "Readme")
	mkfile(t, a.Replica, Root, "readme", 2)
	mkfile(t, b.Replica, Root, "README", 3)
	d := mkdir(t, a.Replica, Root, "Photos")
	must(a.Create(d.ID, "a:b", Spec{Kind: File}))
	w.heal()
	for _, x := range w.devices {
		find(x.Replica, Root, "readme", "README", "Readme", "readme")
		find(x.Replica, d.ID, "a_b", "a:b")
		find(x.Replica, d.ID, "a:b", "a:b")
	}
	must2(a.Rename(Root, "Readme", d.ID, "READ", 0))
	must(a.Remove(Root, "readme", false))
	w.heal()
	for _, x := range w.devices {
		find(x.Replica, Root, "readme", "README")
		find(x.Replica, d.ID, "read", "READ")
		checkView(t, x.Replica)
	}
	_, err := a.Alike(NodeID{1}, "x")
	wantKind(t, err, errs.NotDir)

	// Conflict copies and displaced files are found by their own names, in any case.
	f := mkfile(t, a.Replica, d.ID, "Doc:1.txt", 4)
	w.heal()
	w.now = w.now.Add(time.Hour)
	must(a.Commit(f.ID, f.Versions, content(5), Now))
	must(b.Commit(f.ID, f.Versions, content(6), Now))
	mkfile(t, a.Replica, d.ID, "New", 7)
	mkfile(t, b.Replica, d.ID, "New", 8)
	w.heal()
	for _, x := range w.devices {
		if s := checkView(t, x.Replica).shape; s.Copies != 1 || s.Displaced != 1 {
			t.Errorf("%+v", s)
		}
		for _, name := range listing(t, x.Replica, d.ID) {
			for _, key := range alias.Windows.Keys(name) {
				if got := alike(t, x.Replica, d.ID, key); !slices.Contains(got, name) {
					t.Errorf("%q finds %q, and not %q", key, got, name)
				}
			}
		}
	}
	if s := must(newWorld(t, 2, 1).devices[0].Alike(Root, "x")); len(s) != 1 || s[0] != nil {
		t.Errorf("%q without an index", s)
	}
}

// The index is that of the present rules, whatever was kept before.
func TestAlikeIsMadeAnew(t *testing.T) {
	w := spelled(t, 1, 1, nil)
	a := w.devices[0]
	names := []string{"A", "a", "ß", "SS", "x:y", "plain"}
	for i, n := range names {
		mkfile(t, a.Replica, Root, n, i+1)
	}
	rows := func() (n int) {
		must(0, a.db.ScanKeys(a.db.Key(tableAlike), func(kv.Key) bool { n++; return true }))
		return n
	}
	for _, s := range []Spelling{alias.Windows, alias.Mac, nil, alias.Mac} {
		a.close()
		w.spelling = s
		a.open()
		if s == nil {
			if rows() != 0 {
				t.Error("an index that nobody keeps")
			}
			mkfile(t, a.Replica, Root, "Late", 9)
		} else if rows() == 0 {
			t.Error("no index")
		}
		checkView(t, a.Replica)
	}
	if got := alike(t, a.Replica, Root, "ss"); !slices.Equal(got, []string{"SS", "ß"}) {
		t.Errorf("%q", got)
	}
	if got := alike(t, a.Replica, Root, "late"); !slices.Equal(got, []string{"Late"}) {
		t.Errorf("%q", got)
	}
}

// Random histories, with few names that clash in every way.
func TestAlikeInRandomHistories(t *testing.T) {
	for seed := range int64(12) {
		rules := []alias.Rules{alias.Windows, alias.Mac}[seed%2]
		w := spelled(t, seed, 3, rules)
		names := []string{"doc.txt", "Doc.txt", "DOC.TXT", "doc:.txt", "nul", "NUL", "é", "e\u0301", "dir", "Dir"}
		for step := range 60 {
			w.now = w.now.Add(time.Minute)
			d := w.devices[w.rng.Intn(3)]
			dirs := []NodeID{Root}
			for _, e := range must(d.List(Root, 0, 1000)) {
				if e.Kind == Dir {
					dirs = append(dirs, e.ID)
				}
			}
			at, to := dirs[w.rng.Intn(len(dirs))], dirs[w.rng.Intn(len(dirs))]
			name := names[w.rng.Intn(len(names))]
			list := must(d.List(at, 0, 1000))
			switch k := w.rng.Intn(10); {
			case k < 3 || len(list) == 0:
				_, _ = d.Create(at, name, Spec{Kind: File, Content: content(step + 1)})
			case k < 4:
				_, _ = d.Create(at, name, Spec{Kind: Dir})
			default:
				e := list[w.rng.Intn(len(list))]
				switch {
				case k < 7 && e.Kind == File:
					must(d.Commit(e.ID, e.Versions, content(step+1), Now))
				case k < 9:
					_, _, _ = d.Rename(at, e.Name, to, name, 0)
				default:
					_, _ = d.Remove(at, e.Name, e.Kind == Dir)
				}
			}
			if step%12 == 11 {
				w.heal()
			}
			if step%6 == 5 {
				for _, d := range w.devices {
					must(0, d.Check())
				}
			}
		}
	}
}
