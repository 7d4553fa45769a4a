package namespace

import (
	"flag"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"
)

var undoSeeds = flag.Int64("undo.seeds", 300, "how many random bursts TestABurstIsUndone takes back")

// sight is what a tree shows: for each path kind, contents and mode, and which file it is.
type sight struct {
	what map[string]string
	file map[string]NodeID
}

func look(r *Replica) sight {
	s := sight{map[string]string{}, map[string]NodeID{}}
	var walk func(dir NodeID, path string)
	walk = func(dir NodeID, path string) {
		for _, e := range must(r.List(dir, 0, 1000)) {
			p := path + "/" + e.Name
			s.what[p], s.file[p] = fmt.Sprintf("%v %d %s %o", e.Kind, e.Content.Size, e.Target, e.Mode), e.ID
			if e.Kind == Dir {
				walk(e.ID, p)
			}
		}
	}
	walk(Root, "")
	return s
}

// lacks tells how s differs in what was there in before: each path as it was, and two of them one file if they were.
func (s sight) lacks(before sight) (out []string) {
	became := map[NodeID]NodeID{}
	for _, p := range slices.Sorted(maps.Keys(before.what)) {
		switch was, is := before.file[p], s.file[p]; {
		case s.what[p] != before.what[p]:
			out = append(out, fmt.Sprintf("%s was %q, is %q", p, before.what[p], s.what[p]))
		case became[was] == NodeID{}:
			became[was] = is
		case became[was] != is:
			out = append(out, fmt.Sprintf("%s is another file", p))
		}
	}
	for was, is := range became {
		for other, too := range became {
			if was != other && is == too {
				out = append(out, fmt.Sprintf("two files became one: %v", is))
			}
		}
	}
	return out
}

// A burst of whatever is done to files, names, hard links and directories is taken back: all that was there is
// there again. Then that is undone, and once more.
func TestABurstIsUndone(t *testing.T) {
	for seed := range *undoSeeds {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { undoRandomBurst(t, seed) }) {
			return
		}
	}
}

func undoRandomBurst(t *testing.T, seed int64) {
	w := newWorld(t, seed, 1)
	r := w.devices[0].Replica
	rng := rand.New(rand.NewSource(seed))
	x := mkdir(t, r, Root, "x")
	dirs := []NodeID{Root, x.ID, mkdir(t, r, x.ID, "y").ID, mkdir(t, r, Root, "z").ID}
	dir := func() NodeID { return dirs[rng.Intn(len(dirs))] }
	name := func() string { return string(rune('a' + rng.Intn(4))) }
	for n := range 3 + rng.Intn(4) {
		if e, err := r.Create(dir(), name(), Spec{Kind: File, Content: content(n + 1), Mode: 0o644}); err == nil && rng.Intn(2) == 0 {
			_, _ = r.Link(e.ID, dir(), name())
		}
	}
	w.pass(time.Hour)
	before := look(r)
	var did []string
	for n := range 1 + rng.Intn(6) {
		did = append(did, randomDeed(r, rng, dir, name, 10+n))
		w.pass(time.Duration(100+rng.Intn(700)) * time.Millisecond)
	}
	after := look(r)
	w.pass(30 * time.Second)
	if _, err := r.LastChange(true); err != nil || len(after.lacks(before)) == 0 {
		return // nothing has ended, or it is back
	}
	for n := range 3 {
		dry, told := undo(t, r, n == 0, true), undo(t, r, n == 0, false)
		if !slices.Equal(dry, told) {
			t.Errorf("%d: %q was to be done, and done was %q\ndone: %q\nbefore: %v", n, dry, told, did, before.what)
		}
		then := before
		if n == 1 {
			then = after
		}
		if lacks := look(r).lacks(then); len(lacks) > 0 {
			t.Errorf("%d: %q\ndone: %q\nundone: %q\nbefore: %v\nafter:  %v\nnow:    %v", n, lacks, did, told, before.what, after.what, look(r).what)
		}
		if t.Failed() {
			return
		}
		w.pass(30 * time.Second)
	}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
}

// Where each of several waits for a name that another has, or lies in it, one is put out of the way.
func TestKnotsAreUndone(t *testing.T) {
	type moves [][2]string // from, to; nowhere: remove
	for name, c := range map[string]struct {
		dirs, files []string
		moves       moves
	}{
		"two directories in each other":   {[]string{"p", "p/q"}, []string{"p/q/f"}, moves{{"p/q", "q"}, {"p", "q/p"}, {"q", "p"}}},
		"three, and one of them removed":  {[]string{"p", "p/q", "p/q/r"}, []string{"p/q/r/f"}, moves{{"p/q/r", "r"}, {"p/q", "r/q"}, {"p", ""}, {"r", "p"}}},
		"three names in a ring":           {nil, []string{"a", "b", "c"}, moves{{"a", "t"}, {"b", "a"}, {"c", "b"}, {"t", "c"}}},
		"a backup of what is saved":       {nil, []string{"a"}, moves{{"a", "a~"}, {"+a", ""}}},
		"a save that removes its backup":  {nil, []string{"a"}, moves{{"a", "a~"}, {"+a", ""}, {"a~", ""}}},
		"a directory becomes a file":      {[]string{"d"}, []string{"d/f"}, moves{{"d/f", ""}, {"d", ""}, {"+d", ""}}},
		"a directory over an empty one":   {[]string{"x", "y"}, []string{"x/f"}, moves{{"x", "y"}}},
		"a new link in the place of what": {nil, []string{"a", "b"}, moves{{"a", ""}, {"=b", "a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, 1)
			r := w.devices[0].Replica
			at := func(path string) (NodeID, string) {
				dir, base := "", path
				if i := strings.LastIndexByte(path, '/'); i >= 0 {
					dir, base = path[:i], path[i+1:]
				}
				return must(r.Resolve(dir)).ID, base
			}
			for _, p := range c.dirs {
				dir, base := at(p)
				mkdir(t, r, dir, base)
			}
			for n, p := range c.files {
				dir, base := at(p)
				mkfile(t, r, dir, base, n+1)
			}
			w.pass(time.Hour)
			before := look(r)
			for n, m := range c.moves {
				from, name := at(strings.TrimLeft(m[0], "+="))
				switch to := m[1]; {
				case m[0][0] == '+':
					mkfile(t, r, from, name, 10+n)
				case to == "":
					must(r.Remove(from, name, must(r.Lookup(from, name)).Kind == Dir))
				case m[0][0] == '=':
					dir, base := at(to)
					must(r.Link(must(r.Lookup(from, name)).ID, dir, base))
				default:
					dir, base := at(to)
					must(0, onlyErr(r.Rename(from, name, dir, base, 0)))
				}
				w.pass(time.Second)
			}
			after := look(r)
			for n, then := range []sight{before, after, before} {
				w.pass(time.Minute)
				told := undo(t, r, n == 0, false)
				if lacks := look(r).lacks(then); len(lacks) > 0 {
					t.Fatalf("%d: %q, told %q; shown are %v", n, lacks, told, look(r).what)
				}
			}
		})
	}
}

// randomDeed does something, and tells what.
func randomDeed(r *Replica, rng *rand.Rand, dir func() NodeID, name func() string, n int) string {
	var all []Entry
	var walk func(NodeID)
	walk = func(d NodeID) {
		for _, e := range must(r.List(d, 0, 1000)) {
			if all = append(all, e.Entry); e.Kind == Dir {
				walk(e.ID)
			}
		}
	}
	walk(Root)
	x := all[rng.Intn(len(all))]
	at := func(d NodeID, n string) string {
		p, _ := r.Path(d)
		return p + "/" + n
	}
	switch k := rng.Intn(10); {
	case k < 2:
		d, as := dir(), name()
		_, err := r.Create(d, as, Spec{Kind: File, Content: content(n), Mode: 0o600})
		if err != nil {
			return ""
		}
		return "create " + at(d, as)
	case k < 4 && x.Kind == File:
		must(r.Commit(x.ID, nil, content(n), Now))
		return "write " + at(x.Parent, x.Name)
	case k == 4 && x.Kind == File:
		d, as := dir(), name()
		if _, err := r.Link(x.ID, d, as); err != nil {
			return ""
		}
		return "link " + at(x.Parent, x.Name) + " " + at(d, as)
	case k < 8:
		d, as := dir(), name()
		if x.Kind == Dir {
			as = string("pqyz"[rng.Intn(4)])
		}
		was := at(x.Parent, x.Name)
		if _, _, err := r.Rename(x.Parent, x.Name, d, as, []RenameFlag{0, 0, RenameExchange}[rng.Intn(3)]); err != nil {
			return ""
		}
		return "rename " + was + " " + at(d, as)
	}
	was := at(x.Parent, x.Name)
	if _, err := r.Remove(x.Parent, x.Name, x.Kind == Dir); err != nil {
		return ""
	}
	return "remove " + was
}
