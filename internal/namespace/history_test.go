package namespace

import (
	"context"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// pass lets time go by; more than fleeting unless said otherwise.
func (w *world) pass(d ...time.Duration) int64 {
	if len(d) == 0 {
		d = []time.Duration{time.Minute}
	}
	w.now = w.now.Add(d[0])
	return w.now.UnixNano()
}

// states describes versions, newest first.
func states(fs []Former) (out []string) {
	how := map[How]string{Overwritten: "overwritten", Removed: "removed", Replaced: "replaced", Moved: "moved", Decided: "decided"}
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%s:%d %s", f.Name, f.Size(), how[f.How]))
	}
	return out
}

func wantStates(t *testing.T, fs []Former, want ...string) {
	t.Helper()
	if got := states(fs); !slices.Equal(got, want) {
		t.Errorf("versions %q, want %q", got, want)
	}
}

func versionsOf(t *testing.T, r *Replica, path string) []Former {
	t.Helper()
	_, past, err := r.Versions(path)
	if err != nil {
		t.Fatal(err)
	}
	return past
}

func TestVersions(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	d := mkdir(t, r, Root, "docs")
	f := mkfile(t, r, d.ID, "a", 5)
	made := w.now.UnixNano()
	w.pass()
	must(r.Commit(f.ID, nil, content(6), Now))
	first := w.now.UnixNano()
	w.pass()
	must(0, onlyErr(r.Rename(d.ID, "a", d.ID, "b", 0)))
	w.pass()
	g := mkfile(t, r, d.ID, "c", 7)
	w.pass()
	must(0, onlyErr(r.Rename(d.ID, "c", d.ID, "b", 0)))
	w.pass()
	must(r.Remove(d.ID, "b", false))

	wantStates(t, versionsOf(t, r, "docs/a"), "a:6 moved", "a:5 overwritten") // not what it was called after
	wantStates(t, versionsOf(t, r, "/docs//b"), "b:7 removed", "b:6 replaced", "c:7 moved")
	old := versionsOf(t, r, "docs/a")[1]
	if old.From-made > 10 || old.From < made || old.Until() != first || old.By != r.Writer().Device || old.Writer != old.By || !old.Local || old.ID != f.ID {
		t.Errorf("%+v", old)
	}
	gone := must(r.Removed(d.ID))
	wantStates(t, gone, "b:7 removed")
	if gone[0].ID != g.ID {
		t.Errorf("%+v", gone[0])
	}
	must(r.Remove(Root, "docs", true))
	wantStates(t, versionsOf(t, r, "docs/b"), "b:7 removed", "b:6 replaced", "c:7 moved")
	wantStates(t, must(r.Removed(Root)), "docs:0 removed")
	_, _, err := r.Versions("docs/never")
	wantKind(t, err, errs.NotExist)
	_, _, err = r.Versions("never/a")
	wantKind(t, err, errs.NotExist)
	_, _, err = r.Versions("docs/b/x")
	wantKind(t, err, errs.NotDir)
	if err := r.Check(); err != nil {
		t.Error(err)
	}
}

func onlyErr(_ Entry, _ *Entry, err error) error { return err }

// What lies in a directory that was moved does not show under the old path, but did.
func TestVersionsBelowAMovedDirectory(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	d := mkdir(t, r, Root, "old")
	f, g := mkfile(t, r, d.ID, "f", 1), mkfile(t, r, d.ID, "g", 2)
	w.pass(time.Minute)
	must(r.Commit(f.ID, nil, content(3), Now))
	w.pass(time.Minute)
	must(0, onlyErr(r.Rename(Root, "old", Root, "new", 0)))
	moved := w.now.UnixNano()
	w.pass(time.Minute)
	must(r.Commit(g.ID, nil, content(4), Now)) // under another path
	w.pass(time.Minute)
	wantStates(t, versionsOf(t, r, "old/f"), "f:3 moved", "f:1 overwritten")
	wantStates(t, versionsOf(t, r, "old/g"), "g:2 moved")
	past := versionsOf(t, r, "old/g")
	for path, f := range map[string]Former{"old/g": past[0], "old/f": versionsOf(t, r, "new/f")[0]} {
		if then := must(r.PathThen(&f)); then != path {
			t.Errorf("%s was called %s", path, then)
		}
	}
	if past[0].Until() != moved || past[0].ID != g.ID {
		t.Errorf("%+v", past[0])
	}
	want(t, must(restore(t, r, past[0], "old/g", &brought{})), "old/g")
	if e := must(r.Resolve("old/g")); e.Size() != 2 {
		t.Errorf("%+v", e)
	}
	if now, _, err := r.Versions("old/f"); now != nil || err != nil {
		t.Errorf("%+v, %v", now, err)
	}
	if now, _, err := r.Versions("new/g"); now == nil || now.ID != g.ID || err != nil {
		t.Errorf("%+v, %v", now, err)
	}
}

// A path leads to all directories that it led to once, though its parts are something else by now.
func TestVersionsBelowWhatIsSomethingElse(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	for n := range 2 { // two directories, one after the other
		d := mkdir(t, r, Root, "d")
		sub := mkdir(t, r, d.ID, "sub")
		f := mkfile(t, r, sub.ID, "f", 10+n)
		w.pass()
		must(r.Commit(f.ID, nil, content(20+n), Now))
		w.pass()
		if n == 0 {
			must(r.Remove(sub.ID, "f", false))
			must(r.Remove(d.ID, "sub", true))
			must(r.Remove(Root, "d", true))
		} else {
			must(0, onlyErr(r.Rename(Root, "d", Root, "away", 0)))
		}
		w.pass()
	}
	mkfile(t, r, Root, "d", 5)
	wantStates(t, versionsOf(t, r, "d/sub/f"), "f:21 moved", "f:11 overwritten", "f:20 removed", "f:10 overwritten")
	_, _, err := r.Versions("d/sub/g")
	wantKind(t, err, errs.NotExist)
	mkfile(t, r, Root, "e", 5)
	_, _, err = r.Versions("e/f")
	wantKind(t, err, errs.NotDir)
}

// What is made, and the steps of a save, leave nothing.

func TestHistoryLeavesOutTheFleeting(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	r := a.Replica
	f := must(r.Create(Root, "doc", Spec{Kind: File}))
	w.pass()
	must(r.Commit(f.ID, nil, content(5), Now)) // its first bytes
	w.pass()
	save := func(n int) { // as editors do
		must(r.Create(Root, "doc~", Spec{Kind: File, Content: content(n)}))
		w.pass(10 * time.Millisecond)
		pull(t, b, a, -1)
		must(0, onlyErr(r.Rename(Root, "doc~", Root, "doc", 0)))
		pull(t, b, a, -1)
	}
	save(6)
	wantStates(t, versionsOf(t, r, "doc"), "doc:5 replaced")
	save(7)
	w.pass(time.Minute)
	must(r.Remove(Root, "doc", false))
	pull(t, b, a, -1)
	for _, d := range w.devices {
		wantStates(t, versionsOf(t, d.Replica, "doc"), "doc:7 removed", "doc:5 replaced")
		_, _, err := d.Versions("doc~")
		wantKind(t, err, errs.NotExist)
	}
	// a stamp from the future is no proof of haste
	a.skew = 1000 * time.Hour
	f = mkfile(t, r, Root, "late", 3)
	a.skew = 0
	must(r.Commit(f.ID, nil, content(4), Now))
	wantStates(t, versionsOf(t, r, "late"), "late:3 overwritten")
	// nor is what another device made just now
	f = mkfile(t, r, Root, "theirs", 3)
	pull(t, b, a, -1)
	must(b.Remove(Root, "theirs", false))
	wantStates(t, versionsOf(t, b.Replica, "theirs"), "theirs:3 removed")
}

// The other device has its own history, with its own clock.
func TestHistoryOfOthersChanges(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	f := mkfile(t, a.Replica, Root, "x", 5)
	w.heal()
	w.pass()
	must(a.Commit(f.ID, nil, content(6), Now))
	must(b.Commit(f.ID, nil, content(7), Now))
	came := w.pass(time.Hour)
	w.heal()
	got := versionsOf(t, b.Replica, "x")
	wantStates(t, versionsOf(t, a.Replica, "x"), states(versionsOf(t, a.Replica, "x"))...)
	if last := got[len(got)-1]; last.Size() != 5 || last.By != b.id() || !last.Local || last.Until() >= came {
		t.Errorf("%+v", last)
	}
	// one of the two now shows as a conflict copy, on the loser's device since now
	loser := a
	if e := must(a.Lookup(Root, "x")); e.Size() == 6 {
		loser = b
	}
	if last := versionsOf(t, loser.Replica, "x")[0]; last.How != Overwritten || last.Local || last.By == loser.id() || last.Until() < came {
		t.Errorf("%+v", last)
	}
	w.pass()
	for _, name := range listing(t, a.Replica, Root) {
		if isCopy(name) {
			must(a.Remove(Root, name, false))
			if got := versionsOf(t, a.Replica, name); len(got) != 1 || got[0].How != Decided || got[0].Conflict == nil {
				t.Errorf("%q: %+v", name, got)
			}
		}
	}
	w.heal()
	for _, d := range w.devices {
		if err := d.Check(); err != nil {
			t.Error(err)
		}
	}
}

// snapshot is everything that a device shows, or showed at a time.
func snapshot(t *testing.T, r *Replica, dir NodeID, path string, out map[string]string, list func(NodeID) []Entry) map[string]string {
	t.Helper()
	for _, e := range list(dir) {
		p := path + "/" + e.Name
		if _, twice := out[p]; twice {
			t.Errorf("%s is there twice", p)
		}
		out[p] = fmt.Sprint(e.Kind, e.Content.Size, e.Target)
		if e.Kind == Dir {
			snapshot(t, r, e.ID, p, out, list)
		}
	}
	return out
}

// At any time what At tells is what was shown then: random histories, with deletions, renames of
// directories, replacements and restarts.
func TestHistoryIsTrue(t *testing.T) {
	for seed := range seeds(12) {
		w := newWorld(t, seed, 1)
		d := w.devices[0]
		rng := rand.New(rand.NewSource(seed))
		list := func(dir NodeID) []Entry {
			var out []Entry
			for _, e := range must(d.List(dir, 0, 1000)) {
				out = append(out, e.Entry)
			}
			return out
		}
		type moment struct {
			at   int64
			want map[string]string
		}
		var seen []moment
		for step := range 120 {
			randomChange(d.Replica, rng, list, step+1)
			at := w.pass(time.Duration(3+rng.Intn(4000)) * time.Second)
			seen = append(seen, moment{at - 1, snapshot(t, d.Replica, Root, "", map[string]string{}, list)})
			if rng.Intn(30) == 0 {
				d.close()
				d.open()
			}
		}
		for _, m := range seen {
			got := snapshot(t, d.Replica, Root, "", map[string]string{}, func(dir NodeID) []Entry { return must(d.At(dir, m.at)) })
			if !reflect.DeepEqual(got, m.want) {
				t.Fatalf("seed %d: at %d there was\n%v\nnot\n%v", seed, m.at, m.want, got)
			}
			for _, e := range must(d.At(Root, m.at)) {
				if l, err := d.LookupAt(Root, e.Name, m.at); err != nil || l.ID != e.ID || l.Content != e.Content {
					t.Fatalf("seed %d: %q at %d is looked up as %+v, %v", seed, e.Name, m.at, l, err)
				}
			}
		}
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
	}
}

func randomChange(r *Replica, rng *rand.Rand, list func(NodeID) []Entry, n int) {
	var dirs, all []Entry
	dirs = append(dirs, Entry{ID: Root})
	for i := 0; i < len(dirs); i++ {
		for _, e := range list(dirs[i].ID) {
			if all = append(all, e); e.Kind == Dir {
				dirs = append(dirs, e)
			}
		}
	}
	dir := dirs[rng.Intn(len(dirs))].ID
	name := string(rune('a' + rng.Intn(4)))
	x := Entry{}
	if len(all) > 0 {
		x = all[rng.Intn(len(all))]
	}
	switch k := rng.Intn(10); {
	case k < 3 || len(all) == 0:
		_, _ = r.Create(dir, name, Spec{Kind: File, Content: content(n)})
	case k == 3:
		_, _ = r.Create(dir, name, Spec{Kind: Dir, Mode: 0o755})
	case k == 4:
		_, _ = r.Create(dir, name, Spec{Kind: Symlink, Target: fmt.Sprint(n)})
	case k == 5 && x.Kind == File:
		_, _ = r.Commit(x.ID, nil, content(n), Now)
	case k < 8:
		_, _, _ = r.Rename(x.Parent, x.Name, dir, name, RenameFlag(rng.Intn(3)))
	default:
		_, _ = r.Remove(x.Parent, x.Name, x.Kind == Dir)
	}
}

func TestMomentsAndExpiry(t *testing.T) {
	w := newWorld(t, 1, 1)
	d := w.devices[0]
	w.now = time.Date(2026, 5, 1, 12, 0, 30, 0, time.UTC)
	f := mkfile(t, d.Replica, Root, "x", 1)
	for i := range 40 { // one change a day
		w.pass(24 * time.Hour)
		must(d.Commit(f.ID, nil, content(i+2), Now))
	}
	for i := range 3 {
		w.pass(20 * time.Second)
		must(d.Commit(f.ID, nil, content(i+100), Now))
	}
	times := must(d.Moments())
	if n := len(times); n != 41 { // 12:00, 12:01 of the last hour, and the days before; now is 12:01:30
		t.Errorf("%d times: %v", n, times)
	}
	if !times[0].Equal(time.Date(2026, 6, 10, 12, 1, 0, 0, time.UTC)) || !times[2].Equal(time.Date(2026, 6, 9, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%v", times[:3])
	}
	var told []NodeID
	n := must(d.ExpireHistory(context.Background(), func(ns []NodeID) { told = append(told, ns...) }))
	if left := versionsOf(t, d.Replica, "x"); n != 10 || len(told) != n || len(left) != 33 {
		t.Errorf("%d states went, %d are left", n, len(left))
	}
	if cs := must(d.FormerContents(f.ID)); len(cs) != 33 || cs[0].Size != 101 {
		t.Errorf("%d contents, the newest of %d bytes", len(cs), cs[0].Size)
	}
	if n := must(d.ExpireHistory(context.Background(), nil)); n != 0 {
		t.Errorf("%d more", n)
	}
	if err := d.Check(); err != nil {
		t.Error(err)
	}
}

// A crash never shows a change without the state it ended, nor the other way round.
// A clock that is years ahead for a while does not cost all history; after a long pause it expires step by step.
func TestExpiryWithAWrongClock(t *testing.T) {
	w := newWorld(t, 1, 1)
	d := w.devices[0]
	f := mkfile(t, d.Replica, Root, "x", 1)
	expired := func() int { return must(d.ExpireHistory(t.Context(), nil)) }
	expired()
	w.pass(time.Hour)
	must(d.Commit(f.ID, nil, content(2), Now))
	w.now = w.now.AddDate(10, 0, 0)
	if n := expired() + expired(); n != 0 {
		t.Errorf("%d states are gone", n)
	}
	w.now = w.now.AddDate(-10, 0, 0)
	expired()
	w.now = w.now.AddDate(0, 0, 40)
	n, runs := 0, 0
	for ; n == 0 && runs < 50; runs++ {
		n = expired()
	}
	if n != 1 || runs < 30 {
		t.Errorf("%d states went in %d runs", n, runs)
	}
}

func TestHistoryAfterACrash(t *testing.T) {
	w := newWorld(t, 1, 0)
	d := &device{t: t, name: "a", disk: vfs.NewCrashableMem(), world: w}
	seedKey(d, "a")
	w.devices = append(w.devices, d)
	d.open()
	t.Cleanup(func() { d.close() })
	for i := range 8 {
		mkfile(t, d.Replica, Root, fmt.Sprint(i), i+1)
	}
	must(0, d.Sync(context.Background()))
	w.pass()
	for i := range 8 {
		must(d.Remove(Root, fmt.Sprint(i), false))
		if i == 4 {
			must(0, d.Sync(context.Background()))
		}
	}
	crashed := d.disk.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: randV2(3)})
	d.close()
	d.disk = crashed
	d.open()
	if err := d.Check(); err != nil {
		t.Error(err)
	}
	gone := must(d.Removed(Root))
	if n := len(listing(t, d.Replica, Root)); n+len(gone) != 8 || len(gone) < 5 {
		t.Errorf("%d are there, %d were removed", n, len(gone))
	}
}

// Creates cost no row at all.
func TestHistoryCostsCreatesNothing(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	for i := range 50 {
		f := must(r.Create(Root, fmt.Sprint(i), Spec{Kind: File}))
		must(r.Commit(f.ID, nil, content(i+1), Now))
		w.pass()
		must(r.SetAttr(f.ID, AttrChange{Mode: ptr(uint32(0o600))}))
	}
	_ = r.read(func(tx *tx) error {
		c := checker{t: tx}
		for _, table := range []byte{tableFormer, tableFormerName, tableFormerNode} {
			n := 0
			must(0, c.scan(table, func(kv.Key, []byte) error { n++; return nil }))
			if n > 0 {
				t.Errorf("%d rows in table %q", n, table)
			}
		}
		return nil
	})
}

// A file that had to give its name to another is, before that one goes, where it was shown.
func TestHistoryOfADisplacedFile(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	mkfile(t, a.Replica, Root, "x", 1)
	w.pass()
	mkfile(t, b.Replica, Root, "x", 2)
	w.heal()
	then := w.pass()
	show := func(es []Entry) (out []string) {
		for _, e := range es {
			out = append(out, fmt.Sprint(e.Name, ":", e.Size()))
		}
		return out
	}
	names := show(must(a.At(Root, then)))
	if len(names) != 2 || !slices.Contains(names, "x:1") {
		t.Fatal(names)
	}
	w.pass()
	must(a.Remove(Root, "x", false))
	w.heal()
	for _, d := range w.devices {
		want(t, show(must(d.At(Root, then))), names...)
	}
}

// What another device had done by then, and this one had not heard of, did not show here.
func TestHistoryIsWhatWasSeenHere(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	f := mkfile(t, a.Replica, Root, "x", 1)
	mkfile(t, a.Replica, Root, "y", 2)
	w.heal()
	w.pass()
	must(b.Commit(f.ID, nil, content(3), Now))
	must(0, onlyErr(b.Rename(Root, "y", Root, "z", 0)))
	then := w.pass()
	w.pass()
	w.heal()
	for d, list := range map[*device][]string{a: {"x:1", "y:2"}, b: {"x:3", "z:2"}} {
		var got []string
		for _, e := range must(d.At(Root, then)) {
			got = append(got, fmt.Sprint(e.Name, ":", e.Size()))
		}
		want(t, got, list...)
	}
}

// What a decision drops can be had again, however young or empty it was.
func TestHistoryKeepsWhatWasDropped(t *testing.T) {
	for name, c := range map[string]struct {
		make func(w *world)
		keep Keep
		want string
	}{
		"own edit":       {func(w *world) { w.rivals(t, mkfile(t, w.devices[0].Replica, Root, "f", 1), 5, 6) }, KeepTheirs, "f:6 overwritten"},
		"own empty edit": {func(w *world) { w.rivals(t, mkfile(t, w.devices[0].Replica, Root, "f", 1), 5, 0) }, KeepTheirs, "f:0 overwritten"},
		"own copy": {func(w *world) {
			f := mkfile(t, w.devices[0].Replica, Root, "f", 1)
			w.heal()
			w.now = w.now.Add(time.Hour)
			must(w.devices[1].Commit(f.ID, f.Versions, content(6), Now))
			w.now = w.now.Add(time.Millisecond)
			must(w.devices[0].Commit(f.ID, f.Versions, content(5), Now))
			w.heal()
		}, KeepTheirs, "f:6 decided"},
		"own file beside it": {func(w *world) {
			mkfile(t, w.devices[0].Replica, Root, "f", 5)
			w.now = w.now.Add(time.Hour)
			mkfile(t, w.devices[1].Replica, Root, "f", 6)
			w.heal()
		}, KeepTheirs, "f:6 removed"},
		"own file with the name": {func(w *world) {
			w.now = w.now.Add(time.Hour)
			mkfile(t, w.devices[1].Replica, Root, "f", 6)
			w.now = w.now.Add(time.Millisecond)
			mkfile(t, w.devices[0].Replica, Root, "f", 5)
			w.heal()
		}, KeepTheirs, "f:6 replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, 2)
			c.make(w)
			r := w.devices[1].Replica // who has just written what it drops
			before := shownAll(t, r)
			if len(before) != 2 {
				t.Fatal(before)
			}
			s := must(r.SettleClash(Root, "f", c.keep))
			w.heal()
			for _, d := range w.devices {
				last, err := d.walkFrom()
				if err != nil || len(last) == 0 {
					t.Fatal("nothing was kept", err)
				}
				if got := fmt.Sprintf("f:%d", s.Dropped[0].Size()); !slices.ContainsFunc(last, func(f Former) bool { return fmt.Sprintf("f:%d", f.Size()) == got }) {
					t.Errorf("%s is not among %q", got, states(last))
				}
			}
			if got := states(must(r.LastChange(false))); !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, c.want[1:]) }) {
				t.Errorf("%q, want %q", got, c.want)
			}
			undo(t, r, false, false)
			if now := shownAll(t, r); !slices.Contains(now, fmt.Sprintf("f 1 %d", s.Dropped[0].Size())) && len(now) != 2 {
				t.Errorf("%q, before it was %q", now, before)
			}
			must(0, r.Check())
		})
	}
}

// walkFrom is all history, newest first.
func (d *device) walkFrom() (out []Former, err error) {
	err = d.walkBack(FormerKey{Until: 1<<63 - 1}, func(f Former) bool { out = append(out, f); return true })
	return out, err
}

// Extended attributes are as they were, also those of a file that everybody has forgotten.
func TestHistoryOfXattrs(t *testing.T) {
	w := newMemWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	type moment struct {
		at   int64
		want string
	}
	var past []moment
	f := mkfile(t, a.Replica, Root, "f", 1)
	at := func(d *device, when int64) string {
		var out []string
		for _, n := range must(d.ListXattrAt(f.ID, when)) {
			out = append(out, n+"="+string(must(d.XattrAt(f.ID, n, when))))
		}
		_, err := d.XattrAt(f.ID, "user.none", when)
		wantKind(t, err, errs.NoAttr)
		return strings.Join(out, " ")
	}
	step := func(want string, do func()) {
		t.Helper()
		w.pass()
		do()
		w.heal()
		past = append(past, moment{w.pass(), want})
		for _, d := range w.devices {
			for _, m := range past {
				if got := at(d, m.at); got != m.want {
					t.Errorf("%s: %q, want %q", d.name, got, m.want)
				}
			}
			must(0, d.Check())
		}
	}
	set := func(d *device, name, value string) func() {
		return func() { must(0, d.SetXattr(f.ID, name, []byte(value), XattrAny)) }
	}
	step("", func() {})
	step("user.x=1", set(a, "user.x", "1"))
	step("user.x=2", set(b, "user.x", "2"))
	step("user.x=2 user.y=", set(a, "user.y", ""))
	step("user.y=", func() { must(0, a.RemoveXattr(f.ID, "user.x")) })
	step("user.x=4 user.y=", func() { set(a, "user.x", "3")(); w.pass(time.Second); set(a, "user.x", "4")() })
	rows := 0
	must(0, a.db.ScanKeys(a.db.Key(tableFormerXattr), func(kv.Key) bool { rows++; return true }))
	if rows != 2 {
		t.Errorf("%d rows; what was there for a second has one, or something has none", rows)
	}
	must(a.Remove(Root, "f", false))
	w.heal()
	must(0, a.Acknowledged(b.id(), b.Claims()))
	if n := must(a.Collect(context.Background())); n == 0 {
		t.Fatal("nothing was collected")
	}
	for _, m := range past {
		if got := at(a, m.at); got != m.want {
			t.Errorf("after it was forgotten: %q, want %q", got, m.want)
		}
	}
	w.pass(DefaultHistory + time.Hour)
	must(a.ExpireHistory(context.Background(), nil))
	must(0, a.db.ScanKeys(a.db.Key(tableFormerXattr), func(kv.Key) bool { t.Error("a row is left"); return false }))
}

// A listing of the past is of one moment, whatever is changed while it is made.
func TestPastIsOfOneMoment(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	const files = 3 * pastPage
	for i := range files {
		mkfile(t, r, Root, fmt.Sprint(i), i+1)
	}
	when := w.pass()
	w.pass()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_, _, _ = r.Rename(Root, fmt.Sprint(i%files), Root, fmt.Sprint("moved-", i%files), 0)
		}
	}()
	for range 5 {
		if got := len(must(r.At(Root, when))); got != files {
			t.Errorf("%d entries, there were %d", got, files)
		}
	}
	close(stop)
	<-done
	if got := len(must(r.At(Root, when))); got != files {
		t.Errorf("%d entries, there were %d", got, files)
	}
}
