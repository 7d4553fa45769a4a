package namespace

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

func TestHardLinks(t *testing.T) {
	w, a, b := two(t)
	d := mkdir(t, a.Replica, Root, "d")
	f := mkfile(t, a.Replica, Root, "f", 5)
	l := must(a.Link(f.ID, d.ID, "l"))
	if l.ID != f.ID || l.Nlink != 2 || l.Name != "l" || l.Parent != d.ID || l.Size() != 5 {
		t.Fatalf("%+v", l)
	}
	if s := a.Stat(); s != (Totals{Files: 1, Dirs: 1, Bytes: 5}) {
		t.Errorf("totals %+v", s)
	}
	_, err := a.Link(d.ID, Root, "x")
	wantKind(t, err, errs.Forbidden)
	w.heal()
	must(b.Commit(must(b.Resolve("d/l")).ID, nil, content(6), Now)) // through the link
	w.heal()
	for _, p := range []string{"f", "d/l"} {
		if e := must(a.Resolve(p)); e.Size() != 6 || e.Nlink != 2 || e.ID != f.ID {
			t.Errorf("%s: %+v", p, e)
		}
	}
	// rename over another name of the same file does nothing
	must2(a.Rename(Root, "f", d.ID, "l", 0))
	w.agree(t, Root, "d/", "f")
	// the first name goes, the link stays
	if e := must(a.Remove(Root, "f", false)); e.Nlink != 1 {
		t.Errorf("%+v", e)
	}
	w.agree(t, Root, "d/")
	w.agree(t, d.ID, "l")
	if e := must(b.Resolve("d/l")); e.ID != f.ID || e.Nlink != 1 || must(b.Path(f.ID)) != "d/l" {
		t.Errorf("%+v", e)
	}
	if e := must(b.Remove(d.ID, "l", false)); e.Nlink != 0 {
		t.Errorf("%+v", e)
	}
	w.agree(t, d.ID)
	if s := a.Stat(); s != (Totals{Dirs: 1}) {
		t.Errorf("totals %+v", s)
	}
}

func TestLinkAgainstRemoval(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 5)
	w.heal()
	must(a.Remove(Root, "f", false))
	must(b.Link(f.ID, Root, "l"))
	w.agree(t, Root, "f", "l") // b's link had not seen the removal: the bytes stay
	if e := must(a.Lookup(Root, "l")); e.ID != f.ID || e.Content != content(5) || e.Nlink != 2 {
		t.Errorf("%+v", e)
	}
	// both first names removed on two devices at once: one name is left at most
	must(a.Link(f.ID, Root, "m"))
	w.heal()
	must(a.Remove(Root, "f", false))
	must(b.Remove(Root, "f", false))
	w.heal()
	if e, err := a.Get(f.ID); err != nil || e.Content != content(5) {
		t.Errorf("%+v, %v", e, err)
	}
}

// What can be asked of a file can be asked of one that lost its first name.
func TestNamelessFile(t *testing.T) {
	w, a, b := two(t)
	d := mkdir(t, a.Replica, Root, "d")
	f := mkfile(t, a.Replica, Root, "f", 5)
	must(a.Link(f.ID, d.ID, "g"))
	must(0, a.SetPlacement(d.ID, b.id(), Pinned))
	w.now = w.now.Add(1e9)
	before := must(a.Get(Root))
	must(a.Remove(Root, "f", false))
	if root := must(a.Get(Root)); root.Mtime <= before.Mtime {
		t.Errorf("a name is gone, and the directory's time is %d after %d", root.Mtime, before.Mtime)
	}
	w.heal()
	must(a.Commit(f.ID, nil, content(6), Now))
	w.now = w.now.Add(1e9)
	must(b.Commit(f.ID, nil, content(7), Now))
	must(0, b.SetXattr(f.ID, "user.x", []byte("y"), XattrAny))
	w.heal()
	for _, x := range []*device{a, b} {
		if e := must(x.Get(f.ID)); e.Name != "g" || e.Parent != d.ID || e.Nlink != 1 || e.Content != content(7) {
			t.Errorf("%+v", e)
		}
		if c := must(x.Contents(f.ID)); len(c) != 2 || c[0] != content(7) || c[1] != content(6) {
			t.Errorf("contents %v", c)
		}
		if p, own, err := x.Placement(f.ID, b.id()); p != Pinned || own != Inherited || err != nil {
			t.Errorf("placement %v, %v, %v", p, own, err)
		}
		if s := x.Stat(); s != (Totals{Files: 1, Dirs: 1, Bytes: 7}) {
			t.Errorf("totals %+v", s)
		}
	}
	// one version is kept, and counts for all names
	must(b.Link(f.ID, Root, "h"))
	must(b.SettleClash(d.ID, "g", KeepTheirs))
	w.heal()
	for _, p := range []string{"h", "d/g"} {
		if e := must(a.Resolve(p)); e.ID != f.ID || e.Nlink != 2 || e.Content != content(6) {
			t.Errorf("%s: %+v", p, e)
		}
	}
	w.agree(t, d.ID, "g")
}

// The last name's removal moves the time of the directory where it was, and of no other.
func TestLastNameElsewhere(t *testing.T) {
	_, a, _ := two(t)
	var dirs []Entry
	for _, name := range []string{"first", "linked", "moved"} {
		dirs = append(dirs, mkdir(t, a.Replica, Root, name))
	}
	f := mkfile(t, a.Replica, dirs[0].ID, "f", 5)
	must(a.Link(f.ID, dirs[1].ID, "l"))
	must(a.Remove(dirs[0].ID, "f", false))
	must2(a.Rename(dirs[1].ID, "l", dirs[2].ID, "m", 0))
	must(a.Commit(f.ID, nil, content(6), Now))
	times := func() (out []int64) {
		for _, d := range dirs {
			out = append(out, must(a.Get(d.ID)).Mtime)
		}
		return out
	}
	before := times()
	a.world.now = a.world.now.Add(1e9)
	must(a.Remove(dirs[2].ID, "m", false))
	after := times()
	if after[0] != before[0] || after[1] != before[1] || after[2] <= before[2] {
		t.Errorf("times of directories %d, then %d", before, after)
	}
}

// A file that is shown through a twin has another name of its own: editing the twin must not
// take the bytes from under it.
func TestTwinWithALink(t *testing.T) {
	w, a, b := two(t)
	mkfile(t, a.Replica, Root, "f", 1)
	w.now = w.now.Add(1e9)
	f := mkfile(t, b.Replica, Root, "f", 1)
	must(b.Link(f.ID, Root, "l"))
	w.agree(t, Root, "f", "l")
	must(a.Commit(must(a.Lookup(Root, "f")).ID, nil, content(2), Now))
	w.agree(t, Root, "f", "l")
	if e := must(b.Lookup(Root, "l")); e.ID != f.ID || e.Content != content(1) || e.Nlink != 1 {
		t.Errorf("%+v", e)
	}
	if e := must(b.Lookup(Root, "f")); e.Content != content(2) {
		t.Errorf("%+v", e)
	}
}

// Whatever valid records say of links, also what no program of ours would write, as links to links
// without names: what is shown is what the rules say, and every name can be removed.
func TestAnyLinks(t *testing.T) {
	for seed := range seeds(60) {
		rng := rand.New(rand.NewSource(seed))
		r := newMemWorld(t, seed, 1).devices[0].Replica
		dirs := []NodeID{Root, mkdir(t, r, Root, "d").ID, mkdir(t, r, Root, "e").ID}
		seqs := map[byte]uint64{}
		for range 80 {
			err := r.transact("test", func(t *tx) error {
				t.remote = true
				for range 1 + rng.Intn(4) {
					id, v := anyRecord(rng, dirs)
					if rng.Intn(12) == 0 { // as an audit drops what others lack
						t.replace(id, nil)
						continue
					}
					by := byte(1 + rng.Intn(3))
					seqs[by]++
					v.Dot = Dot{Writer: ident.Writer{Device: ident.DeviceID{by}, Incarnation: 1}, Seq: seqs[by]}
					v.Past = v.Past.Add(v.Dot)
					for _, u := range t.held(id) {
						if rng.Intn(3) > 0 {
							v.Past = v.Past.Join(u.Past)
						} else {
							v.Past = v.Past.Without(u.Dot)
						}
					}
					t.insert(id, v)
				}
				return nil
			})
			if err == nil {
				err = r.Check()
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		for _, dir := range dirs {
			for {
				es := must(r.List(dir, 0, 100))
				if es = filesOf(es); len(es) == 0 {
					break
				}
				must(r.Remove(dir, es[0].Name, false))
				must(0, r.Check())
			}
		}
	}
}

func filesOf(es []DirEntry) (files []DirEntry) {
	for _, e := range es {
		if e.Kind != Dir {
			files = append(files, e)
		}
	}
	return files
}

func anyRecord(rng *rand.Rand, dirs []NodeID) (regID, *merge.Version) {
	node := NodeID{0: 7, 8: byte(rng.Intn(5))}
	v := &merge.Version{T: merge.Stamp(1 + rng.Intn(9))}
	if rng.Intn(2) > 0 {
		v.Class, v.Place = merge.Placed, &merge.Place{Parent: dirs[rng.Intn(3)], Name: string(rune('x' + rng.Intn(3)))}
		switch rng.Intn(4) {
		case 0:
			v.Place.Auto = true
		case 1, 2:
			v.Place.Gone, v.Place.Took = true, merge.Stamp(rng.Intn(9))
		}
		return regID{node: node, kind: regPlace}, v
	}
	v.Class, v.Body = merge.Strong, &merge.Body{Bytes: merge.Bytes{Kind: File, Content: content(rng.Intn(3))}}
	switch to := (NodeID{0: 7, 8: byte(rng.Intn(5))}); rng.Intn(5) {
	case 0, 1:
		if to != node {
			v.Body.Bytes = merge.Bytes{Kind: merge.Link, Link: to}
		}
	case 2:
		v.Class, v.Body = merge.Nothing, nil
	case 3:
		v.Class = merge.Weak
	}
	return regID{node: node, kind: regBytes}, v
}

// Hard links of a file are looked for where there may be some, on every device and after a restart, and not
// with every entry that is read.
func TestHardLinksAreLookedForWhereTheyMayBe(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 5)
	must(a.Link(f.ID, Root, "l"))
	others := make([]NodeID, 1000)
	for i := range others {
		others[i] = mkfile(t, a.Replica, Root, fmt.Sprint("other", i), 6).ID
	}
	w.heal()
	b.close()
	b.open()
	for _, d := range []*device{a, b} {
		if e := must(d.Get(f.ID)); e.Nlink != 2 || !d.linked.may(f.ID) {
			t.Errorf("%+v", e)
		}
		looked := 0
		for _, id := range others {
			if d.linked.may(id) {
				looked++
			}
		}
		if looked > 2 {
			t.Errorf("links of %d files of %d without any are looked for", looked, len(others))
		}
	}
}
