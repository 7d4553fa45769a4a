package merge

import (
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
)

func writer(n int) ident.Writer {
	return ident.Writer{Device: ident.DeviceID{byte(n)}, Incarnation: 1}
}

func dot(w, seq int) Dot { return Dot{writer(w), uint64(seq)} }

// A past is compared with a plain set of dots.
func TestPastIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type pair struct {
			p   Past
			set map[Dot]bool
		}
		all := []pair{{Past{}, map[Dot]bool{}}}
		one := func(label string) pair { return all[rapid.IntRange(0, len(all)-1).Draw(t, label)] }
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			a, n := one("a"), pair{set: map[Dot]bool{}}
			d := dot(rapid.IntRange(1, 3).Draw(t, "writer"), rapid.IntRange(1, 5).Draw(t, "seq"))
			for x := range a.set {
				n.set[x] = true
			}
			switch rapid.IntRange(0, 2).Draw(t, "op") {
			case 0:
				b := one("b")
				n.p = a.p.Join(b.p)
				for x := range b.set {
					n.set[x] = true
				}
			case 1:
				n.p = a.p.Add(d)
				reached := 0
				for x := range a.set {
					if x.Writer == d.Writer {
						reached = max(reached, int(x.Seq))
					}
				}
				for _, v := range a.p.Vector {
					if v.Writer == d.Writer {
						reached = int(v.Seq)
					}
				}
				for s := reached + 1; s <= int(d.Seq); s++ { // nothing known between: included
					n.set[Dot{d.Writer, uint64(s)}] = true
				}
				n.set[d] = true
			case 2:
				n.p = a.p.Without(d)
				delete(n.set, d)
			}
			if !n.p.Valid() {
				t.Fatalf("not valid: %+v", n.p)
			}
			for w := 1; w <= 3; w++ {
				for s := 1; s <= 6; s++ {
					if n.p.Has(dot(w, s)) != n.set[dot(w, s)] {
						t.Fatalf("%+v has %v: %v, want %v", n.p, dot(w, s), n.p.Has(dot(w, s)), n.set[dot(w, s)])
					}
				}
			}
			all = append(all, n)
		}
	})
}

func TestPastValid(t *testing.T) {
	for _, bad := range []Past{
		{Vector: []Dot{dot(2, 1), dot(1, 1)}}, {Vector: []Dot{dot(1, 1), dot(1, 2)}}, {Vector: []Dot{dot(1, 0)}},
		{Except: []Dot{dot(1, 1)}}, {Vector: []Dot{dot(1, 2)}, Except: []Dot{dot(1, 3)}},
		{Vector: []Dot{dot(1, 9)}, Except: []Dot{dot(1, 3), dot(1, 2)}},
	} {
		if bad.Valid() {
			t.Errorf("%+v is called valid", bad)
		}
	}
}

func TestClaims(t *testing.T) {
	c := Claims{Vector: []Dot{dot(1, 5)}}
	if !c.Has(dot(1, 5)) || c.Has(dot(1, 6)) || c.Has(dot(2, 1)) {
		t.Error("Has")
	}
	j := c.Join(Claims{Vector: []Dot{dot(2, 8), dot(3, 1)}})
	if want := (Claims{Vector: []Dot{dot(1, 5), dot(2, 8), dot(3, 1)}}); !reflect.DeepEqual(j, want) {
		t.Errorf("%+v", j)
	}
	if !j.Covers(c) || c.Covers(j) || !c.Covers(Claims{}) {
		t.Error("Covers")
	}
	if j = c.Raise(dot(1, 3)); !reflect.DeepEqual(j, c) {
		t.Errorf("raised backwards: %+v", j)
	}
}

// Random writes on three replicas, merged in any order, with repeats: the same register.
func TestRegisterConverges(t *testing.T) {
	for seed := range int64(300) {
		rng := rand.New(rand.NewSource(seed))
		reps := make([]Register, 3)
		seqs := make([]int, 3)
		var all []*Version
		for range 5 + rng.Intn(15) {
			i := rng.Intn(3)
			if rng.Intn(3) == 0 {
				for _, v := range reps[rng.Intn(3)] {
					reps[i], _ = reps[i].Insert(v, nil)
				}
				continue
			}
			var cover []*Version
			for _, v := range reps[i] {
				if rng.Intn(3) > 0 {
					cover = append(cover, v)
				}
			}
			seqs[i]++
			v := &Version{Dot: dot(i+1, seqs[i]), T: Stamp(rng.Intn(10))}
			held := reps[i]
			reps[i] = reps[i].Write(v, cover)
			for _, u := range held {
				if slices.Contains(cover, u) == slices.Contains(reps[i], u) {
					t.Fatalf("seed %d: covered is not what went", seed)
				}
			}
			all = append(all, v)
		}
		var want Register
		for n := range 6 {
			var r Register
			for _, i := range rng.Perm(len(all)) {
				r, _ = r.Insert(all[i], nil)
				r, _ = r.Insert(all[rng.Intn(len(all))], nil)
			}
			if n == 0 {
				want = r
			} else if !slices.Equal(r, want) {
				t.Fatalf("seed %d: another order gives another register", seed)
			}
		}
		for _, v := range want { // nothing is lost but what was overwritten
			for _, u := range want {
				if u != v && u.Past.Has(v.Dot) {
					t.Fatalf("seed %d: a register holds what it overwrote", seed)
				}
			}
		}
	}
}

func file(seq int, c Class, t Stamp, bytes int) *Version {
	v := &Version{Dot: dot(1, seq), T: t, Class: c}
	if c != Nothing {
		v.Body = &Body{Bytes: Bytes{Kind: File, Content: blocks.Content{Size: uint64(bytes)}}}
	}
	return v
}

func TestGroups(t *testing.T) {
	reg := func(vs ...*Version) Register {
		slices.SortFunc(vs, (*Version).Compare)
		return vs
	}
	strong1, strong2, twin := file(3, Strong, 5, 1), file(2, Strong, 9, 2), file(1, Strong, 1, 1)
	weak1, weak3, newer := file(4, Weak, 2, 1), file(5, Weak, 3, 3), file(6, Weak, 8, 4)
	gone := file(7, Nothing, 99, 0)

	gs, rest := Groups(reg(strong1, strong2, twin, weak1, weak3, gone))
	if len(gs) != 2 || gs[0].Best != strong2 || gs[1].Best != strong1 || gs[1].Least != twin.Dot || len(gs[1].Versions) != 3 {
		t.Errorf("%+v", gs)
	}
	if len(rest) != 2 {
		t.Errorf("shown nowhere: %d", len(rest))
	}
	gs, rest = Groups(reg(weak3, newer, gone)) // without a strong one only the newest weak bytes count
	if len(gs) != 1 || gs[0].Best != newer || len(rest) != 2 {
		t.Errorf("%+v %+v", gs, rest)
	}
	if gs, rest = Groups(reg(gone)); len(gs) != 0 || len(rest) != 1 || Alive(reg(gone)) {
		t.Errorf("%+v %+v", gs, rest)
	}
}

func place(n NodeID, parent NodeID, name string, t Stamp) *Node {
	v := &Version{Dot: Dot{writer(int(n[0])), 1}, T: t, Class: Placed, Place: &Place{Parent: parent, Name: name}}
	return &Node{ID: n, P: Register{v}}
}

func names(ident.DeviceID) string { return "lap/top:(1)" }

func TestDerivedNames(t *testing.T) {
	for raw, want := range map[string]string{
		"a.txt":                       "a (conflict from lap-top--1- 1970-01-01).txt",
		"a":                           "a (conflict from lap-top--1- 1970-01-01)",
		".hidden":                     ".hidden (conflict from lap-top--1- 1970-01-01)",
		"a.":                          "a. (conflict from lap-top--1- 1970-01-01)",
		"a.b (c) d":                   "a.b (c) d (conflict from lap-top--1- 1970-01-01)",
		"x.tar.gz":                    "x.tar (conflict from lap-top--1- 1970-01-01).gz",
		"no.extension but a sentence": "no.extension but a sentence (conflict from lap-top--1- 1970-01-01)",
	} {
		n := place(NodeID{0: 1}, Root, raw, 0)
		s := &Shown{ID: n.ID, Raw: raw, Place: n.P[0]}
		got := derivedName(s, 0, names)
		if got != want {
			t.Errorf("%q: %q", raw, got)
		}
		seen := map[string]bool{}
		for k := range 8 {
			got := derivedName(s, k, names)
			if seen[got] || len(got) > maxName {
				t.Errorf("%q, try %d: %q", raw, k, got)
			}
			seen[got] = true
			if back, _, ok := ParseDerived(got); !ok || back != raw {
				t.Errorf("%q is parsed as %q", got, back)
			}
		}
	}
	long := place(NodeID{0: 1}, Root, strings.Repeat("é", 127)+".x", 0)
	s := &Shown{ID: long.ID, Raw: long.P[0].Place.Name, Place: long.P[0]}
	got := derivedName(s, 0, names)
	if _, id, ok := ParseDerived(got); !ok || id != long.ID || len(got) > maxName || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("%q: %v", got, id)
	}
	if _, _, ok := ParseDerived("an ordinary name.txt"); ok {
		t.Error("an ordinary name looks derived")
	}
}

// Whatever the stored name: its derived names lead back to it, or name the id.
func TestDerivedNamesLeadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.StringOfN(rapid.RuneFrom([]rune("ab. ()é~")), 1, 200, maxName).Draw(t, "raw")
		if rapid.Bool().Draw(t, "nested") {
			raw = clip(raw, 100) + copyMark + "x 2020-01-01).txt"
		}
		n := place(NodeID{0: 1, 9: 7, 14: 3}, Root, raw, Stamp(rapid.Uint64().Draw(t, "t")))
		s := &Shown{ID: n.ID, Raw: raw, Place: n.P[0]}
		got := derivedName(s, rapid.IntRange(0, 6).Draw(t, "k"), names)
		back, id, ok := ParseDerived(got)
		if !ok || back != raw && id != n.ID {
			t.Fatalf("%q gives %q, which leads to %q and %v", raw, got, back, id)
		}
	})
}

// Cutting does not depend on where one begins, and leaves no cycle.
func TestCuts(t *testing.T) {
	for seed := range int64(500) {
		rng := rand.New(rand.NewSource(seed))
		nodes := map[NodeID]*Node{}
		ids := []NodeID{Root}
		for i := range 2 + rng.Intn(8) {
			ids = append(ids, NodeID{0: byte(i + 1), 15: 1})
		}
		for _, id := range ids[1:] {
			n := place(id, ids[rng.Intn(len(ids))], fmt.Sprint(id[0]), Stamp(rng.Intn(5)))
			n.P[0].Place.Prev = ids[rng.Intn(len(ids))]
			n.C = Register{{Dot: Dot{writer(int(id[0])), 2}, Class: Strong, Body: &Body{Bytes: Bytes{Kind: Dir}}}}
			nodes[id] = n
		}
		tree := Build(nodes, names)
		shown := map[NodeID]int{}
		for _, kids := range tree.Kids {
			for _, s := range kids {
				for _, m := range s.Members {
					shown[m]++
				}
			}
		}
		for _, id := range ids[1:] {
			if shown[id] != 1 {
				t.Fatalf("seed %d: %v is shown %d times", seed, id, shown[id])
			}
		}
	}
}

func TestCopyID(t *testing.T) {
	n := NodeID{1, 2, 3, 4, 5, 6, 7, 8, 9}
	group := func(seq int, size uint64) *Group {
		return &Group{Least: dot(1, seq), Bytes: Bytes{Kind: File, Content: blocks.Content{Size: size}}}
	}
	a, b, c := CopyID(n, group(1, 5)), CopyID(n, group(2, 5)), CopyID(n, group(1, 6))
	if a == b || a == c || a.IsDir() || string(a[:8]) != string(n[:8]) || a == n {
		t.Errorf("%v %v", a, b)
	}
	if a.String() != "0102030405060708"+"1e89da515444aa38" { // the format: ids are the same for ever
		t.Errorf("vector: %v", a)
	}
}

func TestStamps(t *testing.T) {
	s := Stamp(1_700_000_000_123<<16 | 7)
	if s.Nanos() != 1_700_000_000_123_000_007 || s.Time().UnixMilli() != 1_700_000_000_123 || StampAt(s.Time()) != s-7 {
		t.Errorf("%d", s.Nanos())
	}
}

// N10: what a user did beats what a rule did, whatever the clocks say.
func TestWinner(t *testing.T) {
	n := NodeID{0: 1}
	v := func(seq int, t Stamp, auto bool) *Version {
		return &Version{Dot: dot(1, seq), T: t, Place: &Place{Auto: auto}}
	}
	gone := func(seq int, t, took Stamp) *Version {
		return &Version{Dot: dot(1, seq), T: t, Place: &Place{Gone: true, Took: took}}
	}
	for _, c := range []struct {
		vs   []*Version
		want uint64
	}{
		{[]*Version{v(1, 5, false), v(2, 9, true)}, 1},
		{[]*Version{v(1, 5, true), v(2, 9, true)}, 2},
		{[]*Version{v(1, 5, false), v(2, 9, false), v(3, 10, true)}, 2},
		{[]*Version{v(1, 5, true), v(2, 9, false), v(3, 9, false)}, 3},
		{[]*Version{gone(1, 20, 5), v(2, 6, false)}, 2}, // a move that did not know of it
		{[]*Version{v(2, 6, false), gone(1, 20, 5)}, 2},
		{[]*Version{v(2, 5, false), gone(1, 20, 5)}, 1}, // what it took away, said again
		{[]*Version{v(2, 9, true), gone(1, 20, 5)}, 1},
		{[]*Version{gone(1, 20, 5), gone(2, 21, 5)}, 2},
	} {
		node := Node{ID: n, P: c.vs}
		if got := node.P.Winner(); got.Dot.Seq != c.want {
			t.Errorf("%d wins, want %d", got.Dot.Seq, c.want)
		}
	}
}
