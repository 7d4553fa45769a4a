package namespace

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// checkClashes compares the conflicts that are listed with all derived names of a whole view.
func checkClashes(t testing.TB, r *Replica, v tree) {
	t.Helper()
	want := map[string]bool{}
	for dir, kids := range v.kids {
		for n, e := range kids {
			if e.Conflict != nil {
				want[fmt.Sprint(dir, n)] = true
			}
		}
	}
	for _, c := range must(r.Clashes(context.Background())) {
		first := c.Versions[0]
		if first.Conflict != nil || first.Parent != c.Dir || must(r.Resolve(c.Path)).ID != first.ID {
			t.Fatalf("%q: %+v has the name", c.Path, first)
		}
		for i, x := range c.Versions {
			if i > 0 && !want[fmt.Sprint(c.Dir, x.Name)] {
				t.Fatalf("%q is listed as a conflict and shows as none, or is listed twice", x.Name)
			}
			delete(want, fmt.Sprint(c.Dir, x.Name))
			for _, k := range x.Knew {
				if slices.Contains(x.Ignorant, k) || slices.Contains(c.Versions[k].Knew, i) {
					t.Fatalf("%q: who knew whom: %+v", c.Path, c.Versions)
				}
			}
		}
	}
	if len(want) > 0 {
		t.Fatalf("conflicts that are not listed: %v", want)
	}
}

// rivals makes a conflict over f: version i is by device i, the last has the name.
func (w *world) rivals(t *testing.T, f Entry, contents ...int) {
	t.Helper()
	w.heal()
	for i, c := range contents {
		w.now = w.now.Add(time.Hour)
		must(w.devices[i].Commit(f.ID, f.Versions, content(c), int64(c)))
	}
	w.heal()
}

func clashes(t *testing.T, d *device) []Clash {
	t.Helper()
	return must(d.Clashes(context.Background()))
}

func TestClashSaysWhoKnewWhom(t *testing.T) {
	w, a, b := two(t)
	d := mkdir(t, a.Replica, Root, "docs")
	f := mkfile(t, a.Replica, d.ID, "f", 1)
	w.rivals(t, f, 2, 3)
	for _, x := range w.devices {
		cs := clashes(t, x)
		if len(cs) != 1 || cs[0].Path != "docs/f" || cs[0].Dir != d.ID || len(cs[0].Versions) != 2 {
			t.Fatalf("%+v", cs)
		}
		v := cs[0].Versions
		if v[0].Writer != b.id() || v[0].Content != content(3) || v[1].Writer != a.id() || v[1].Conflict == nil {
			t.Errorf("%+v", v)
		}
		// a's is older: it cannot have had b's before it. Of b's it cannot be told.
		if !slices.Equal(v[1].Ignorant, []int{0}) || v[0].Ignorant != nil || v[0].Knew != nil {
			t.Errorf("who knew whom: %+v", v)
		}
	}
	// An edit of the file with both in sight knew the copy and left it alone.
	w.now = w.now.Add(time.Hour)
	must(a.Commit(f.ID, nil, content(4), Now))
	w.heal()
	v := clashes(t, b)[0].Versions
	if !slices.Equal(v[0].Knew, []int{1}) || !slices.Equal(v[1].Ignorant, []int{0}) {
		t.Errorf("who knew whom: %+v", v)
	}
	// Two files made apart under one name knew nothing of each other.
	mkfile(t, a.Replica, Root, "new", 7)
	mkfile(t, b.Replica, Root, "new", 8)
	w.heal()
	cs := clashes(t, a)
	if len(cs) != 2 || cs[1].Path != "new" || len(cs[1].Versions[0].Ignorant) != 1 || len(cs[1].Versions[1].Ignorant) != 1 {
		t.Errorf("%+v", cs)
	}
}

// Names that are shared only because directories are merged are found too, at any depth.
func TestClashesInMergedDirectories(t *testing.T) {
	w, a, b := two(t)
	for i, d := range w.devices {
		p := mkdir(t, d.Replica, Root, "photos")
		y := mkdir(t, d.Replica, p.ID, "2024")
		mkfile(t, d.Replica, y.ID, "1.jpg", 1+i)
		mkfile(t, d.Replica, y.ID, fmt.Sprint("own", i), 9)
	}
	w.heal()
	for _, d := range w.devices {
		checkView(t, d.Replica)
		if cs := clashes(t, d); len(cs) != 1 || cs[0].Path != "photos/2024/1.jpg" {
			t.Errorf("%+v", cs)
		}
	}
	dir := must(a.Resolve("photos/2024"))
	must(b.SettleClash(dir.ID, "1.jpg", KeepMine))
	w.agree(t, dir.ID, "1.jpg", "own0", "own1")
	if e := must(a.Lookup(dir.ID, "1.jpg")); e.Content != content(2) {
		t.Errorf("%+v", e)
	}
}

// Every way out, from each side, is seen by all.
func TestSettleClash(t *testing.T) {
	for _, c := range []struct {
		by    int // 0: who wrote the copy, 1: who has the name, 2: neither
		keep  Keep
		want  int
		names int
	}{
		{0, KeepMine, 2, 1}, {0, KeepTheirs, 3, 1}, {0, KeepBoth, 3, 2},
		{1, KeepMine, 3, 1}, {1, KeepTheirs, 2, 1}, {1, KeepBoth, 3, 2},
		{2, KeepMine, 3, 1}, {2, KeepTheirs, 2, 1}, {2, KeepBoth, 3, 2},
	} {
		for _, made := range []string{"edited", "created"} {
			t.Run(fmt.Sprintf("%s by %d keep %d", made, c.by, c.keep), func(t *testing.T) {
				w := newWorld(t, 1, 3)
				want := c.want
				if made == "edited" {
					w.rivals(t, mkfile(t, w.devices[0].Replica, Root, "f.txt", 1), 2, 3)
				} else { // here the older has the name
					mkfile(t, w.devices[1].Replica, Root, "f.txt", 3)
					w.now = w.now.Add(time.Hour)
					mkfile(t, w.devices[0].Replica, Root, "f.txt", 2)
					w.heal()
				}
				d := w.devices[c.by]
				before := clashes(t, d)[0]
				name := before.Versions[c.by%2].Name // by the file's and by the copy's name
				got := must(d.SettleClash(Root, name, c.keep))
				if len(got.Kept) != c.names || len(got.Dropped) != 2-c.names {
					t.Fatalf("%+v", got)
				}
				w.heal()
				for _, x := range w.devices {
					v := checkView(t, x.Replica)
					e := v.kids[Root]["f.txt"]
					if e.Content != content(want) || e.Conflict != nil || len(v.kids[Root]) != c.names || len(clashes(t, x)) != 0 {
						t.Errorf("%s shows\n%s", x.name, describe(v.kids[Root]))
					}
					if made == "edited" && (e.Mtime != int64(want) || e.ID != before.Versions[0].ID) {
						t.Errorf("mtime %d, id %v", e.Mtime, e.ID)
					}
				}
				_, err := d.SettleClash(Root, "f.txt", c.keep)
				wantKind(t, err, errs.NotExist)
			})
		}
	}
}

// Devices that decide differently while apart agree afterwards, and what one of them kept and
// none dropped is still there.
func TestSettledDifferentlyWhileApart(t *testing.T) {
	for _, made := range []string{"edited", "created"} {
		for _, c := range []struct {
			a, b Keep
			want []int // contents left
		}{
			{KeepMine, KeepMine, []int{2}},     // a chose its copy, b what has the name already
			{KeepTheirs, KeepTheirs, []int{2}}, // the other way round: b made the edit
			{KeepMine, KeepTheirs, []int{2}},   // the same
			{KeepTheirs, KeepMine, []int{3}},   // the same
			{KeepBoth, KeepMine, []int{2, 3}},  // dropped by one, made a file by the other
			{KeepMine, KeepBoth, []int{2, 2}},  // a dropped 3, the copy was made a file
			{KeepBoth, KeepBoth, []int{2, 3}},  //
		} {
			if made == "created" && c.a+c.b != KeepMine+KeepTheirs { // not the same
				c.want = []int{2, 3} // files of their own survive a removal that had not seen them kept
			}
			t.Run(fmt.Sprintf("%s %d against %d", made, c.a, c.b), func(t *testing.T) {
				w, a, b := two(t)
				if made == "edited" {
					w.rivals(t, mkfile(t, a.Replica, Root, "f", 1), 2, 3)
				} else {
					mkfile(t, b.Replica, Root, "f", 3)
					w.now = w.now.Add(time.Hour)
					mkfile(t, a.Replica, Root, "f", 2)
					w.heal()
				}
				must(a.SettleClash(Root, "f", c.a))
				w.now = w.now.Add(time.Hour)
				must(b.SettleClash(Root, "f", c.b))
				w.heal()
				for _, d := range w.devices {
					v := checkView(t, d.Replica)
					var got []int
					for _, e := range v.kids[Root] {
						got = append(got, int(e.Content.Size))
					}
					if slices.Sort(got); !slices.Equal(got, c.want) {
						t.Errorf("%s shows %v, want %v:\n%s", d.name, got, c.want, describe(v.kids[Root]))
					}
				}
			})
		}
	}
}

// Mine is what this device gave the name, too: the contents of both may be of one device.
func TestMineIsWhatGotItsNameHere(t *testing.T) {
	w, a, b := two(t)
	mkfile(t, a.Replica, Root, "s1", 1)
	mkfile(t, a.Replica, Root, "s2", 2)
	w.heal()
	w.now = w.now.Add(time.Hour)
	must(0, onlyErr(a.Rename(Root, "s1", Root, "t", 0)))
	w.now = w.now.Add(time.Hour)
	must(0, onlyErr(b.Rename(Root, "s2", Root, "t", 0)))
	w.heal()
	for i, d := range []*device{a, b} {
		all := must(d.Clashes(t.Context()))
		if len(all) != 1 || all[0].Mine != i {
			t.Fatalf("%s: %+v", d.name, all)
		}
		for n, v := range all[0].Versions {
			if by := []*device{a, b}[n].Writer().Device; v.By != by || v.Size() != uint64(n+1) {
				t.Errorf("%s: %d is of %v: %+v", d.name, n, v.By, v)
			}
		}
	}
	got := must(b.SettleClash(Root, "t", KeepMine))
	if len(got.Dropped) != 1 || got.Dropped[0].By != a.Writer().Device || got.Kept[0].Size() != 2 {
		t.Errorf("%+v", got)
	}
}

// Three versions: two devices that keep different copies have made two edits, which is a conflict.
func TestSettledToDifferentCopies(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.rivals(t, mkfile(t, w.devices[0].Replica, Root, "f", 1), 2, 3, 4)
	_, err := w.devices[0].SettleClash(Root, "f", KeepTheirs) // which of two?
	wantKind(t, err, errs.Exist)
	must(w.devices[0].SettleClash(Root, "f", KeepMine))
	must(w.devices[1].SettleClash(Root, "f", KeepMine))
	w.heal()
	for _, d := range w.devices {
		checkView(t, d.Replica)
		var got []int
		for _, v := range clashes(t, d)[0].Versions {
			got = append(got, int(v.Content.Size))
		}
		if slices.Sort(got); !slices.Equal(got, []int{2, 3}) {
			t.Errorf("%s: %v", d.name, got)
		}
	}
}

// What a decision keeps survives a removal that has seen it before, but not that it is kept: as that of a rename over
// it, of which the other half has come first.
func TestWhatIsKeptStays(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 1)
	w.heal()
	mkfile(t, b.Replica, Root, "f~", 2)
	must(0, onlyErr(b.Rename(Root, "f~", Root, "f", RenameReplace)))
	must(0, b.Sync(t.Context()))
	c := clashes(t, a)
	for frames := 1; len(c) == 0 && frames < 10; frames++ {
		pullPages(t, a, b, frames, 1)
		c = clashes(t, a)
	}
	if len(c) != 1 || c[0].Versions[0].ID != f.ID {
		t.Fatalf("%+v", c)
	}
	must(a.SettleClash(Root, "f", KeepMine))
	w.heal()
	for _, d := range w.devices {
		if e := must(d.Lookup(Root, "f")); e.Content != content(1) {
			t.Errorf("%s: %+v", d.name, e)
		}
		checkView(t, d.Replica)
	}
}

// A directory that was removed, and shows for what another device made in it, is of who had made it.
func TestConflictWithARemovedDirectory(t *testing.T) {
	w, a, b := two(t)
	dir := mkdir(t, a.Replica, Root, "d")
	w.heal()
	must(a.Remove(Root, "d", true))
	mkfile(t, a.Replica, Root, "d", 1)
	mkfile(t, b.Replica, dir.ID, "new", 2)
	w.heal()
	for _, d := range w.devices {
		c := clashes(t, d)
		if len(c) != 1 || c[0].Versions[0].ID != dir.ID || c[0].Versions[0].By != a.id() || c[0].Versions[0].When == 0 {
			t.Errorf("%s: %+v", d.name, c)
		}
	}
}

// By the name of a copy only this copy and the file are meant.
func TestSettleOneOfSeveral(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.rivals(t, mkfile(t, w.devices[0].Replica, Root, "f", 1), 2, 3, 4)
	d := w.devices[2] // has the name
	c := clashes(t, d)[0]
	i := slices.IndexFunc(c.Versions, func(v ClashVersion) bool { return v.Content == content(2) })
	must(d.SettleClash(Root, c.Versions[i].Name, KeepTheirs))
	w.heal()
	for _, x := range w.devices {
		checkView(t, x.Replica)
		v := clashes(t, x)[0].Versions
		if len(v) != 2 || v[0].Content != content(2) || v[1].Content != content(3) {
			t.Errorf("%+v", v)
		}
	}
}

// A directory keeps its name; the file beside it can become a file of its own, nothing else.
func TestSettleClashOfTypes(t *testing.T) {
	w, a, b := two(t)
	mkdir(t, a.Replica, Root, "x")
	mkfile(t, b.Replica, Root, "x", 1)
	w.heal()
	if cs := clashes(t, a); len(cs) != 1 || cs[0].Versions[0].Kind != Dir {
		t.Fatalf("%+v", cs)
	}
	_, err := b.SettleClash(Root, "x", KeepMine)
	wantKind(t, err, errs.IsDir)
	must(b.SettleClash(Root, "x", KeepBoth))
	w.heal()
	for _, d := range w.devices {
		if v := checkView(t, d.Replica); len(clashes(t, d)) != 0 || len(v.kids[Root]) != 2 {
			t.Errorf("%s", describe(v.kids[Root]))
		}
	}
}

// Looking at conflicts, and at files, writes nothing.
func TestReadingMakesNoConflict(t *testing.T) {
	w, a, b := two(t)
	w.rivals(t, mkfile(t, a.Replica, Root, "f", 1), 2, 3)
	before := []uint64{a.Written(), b.Written()}
	for _, d := range w.devices {
		for _, c := range clashes(t, d) {
			for _, v := range c.Versions {
				must(d.Get(v.ID))
				must(d.Lookup(v.Parent, v.Name))
				must(d.Contents(v.ID))
			}
		}
	}
	w.heal()
	if after := []uint64{a.Written(), b.Written()}; !slices.Equal(before, after) || len(clashes(t, a)) != 1 {
		t.Errorf("written %v, then %v", before, after)
	}
}

// A store from before the index of shared names gets it when it is opened.
func TestSeveralIsMadeForOldStores(t *testing.T) {
	w, a, b := two(t)
	mkfile(t, a.Replica, Root, "f", 1)
	mkfile(t, b.Replica, Root, "f", 2)
	w.heal()
	must(0, a.Replica.Close())
	batch := a.db.Batch()
	must(0, batch.DeletePrefix(a.db.Key(tableSeveral)))
	must(0, batch.Delete(a.keys.state(stateSeveral)))
	must(0, batch.Commit(kv.NoSync))
	if a.Check() == nil {
		t.Error("the missing index is not noticed")
	}
	a.close()
	a.open()
	checkView(t, a.Replica)
	if len(clashes(t, a)) != 1 {
		t.Error("the conflict is not listed")
	}
}

// What is dropped with all its versions does not leave some of them behind as files.
func TestSettleDropsCopiesOfAFileBesideTheName(t *testing.T) {
	w := newWorld(t, 1, 3)
	a, b, c := w.devices[0], w.devices[1], w.devices[2]
	mkfile(t, a.Replica, Root, "f", 1)
	w.now = w.now.Add(time.Hour)
	g := mkfile(t, b.Replica, Root, "f", 2)
	pull(t, c, b, -1)
	must(b.Commit(g.ID, g.Versions, content(3), Now))
	must(c.Commit(g.ID, g.Versions, content(4), Now))
	w.heal()
	if cs := clashes(t, a); len(cs) != 1 || len(cs[0].Versions) != 3 {
		t.Fatalf("%+v", cs)
	}
	if got := must(a.SettleClash(Root, "f", KeepMine)); len(got.Dropped) != 2 {
		t.Errorf("%+v", got)
	}
	w.agree(t, Root, "f")
}
