package namespace

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/kv"
)

// newMemWorld is newWorld on disks in memory, of which there can be images.
func newMemWorld(t testing.TB, seed int64, n int) *world {
	w := newWorld(t, seed, 0)
	for i := range n {
		w.addMem(fmt.Sprintf("dev%d", i))
	}
	return w
}

func (w *world) addMem(name string) *device { return w.addDevice(&device{name: name}) }

func (w *world) addDevice(d *device) *device {
	d.t, d.mem, d.world = w.t, kv.NewMemory(), w
	seedKey(d, d.name)
	w.devices = append(w.devices, d)
	d.open()
	w.t.Cleanup(d.close)
	return d
}

// lieOn restarts it as on a disk that can be told from others by a mark.
func (d *device) lieOn(mark string) {
	d.close()
	d.image = []byte(mark)
	d.open()
}

// restore puts an image back; mark is what the device can tell of its disk.
func (d *device) restore(image *kv.Memory, mark string) {
	d.close()
	d.mem = image.Clone()
	d.image = []byte(mark)
	d.open()
}

func (w *world) checkAll() {
	w.t.Helper()
	for _, d := range w.devices {
		if err := d.Check(); err != nil {
			w.t.Fatal(d.name, err)
		}
	}
}

// converged fails unless all devices show the same and claim the same.
func (w *world) converged() {
	w.t.Helper()
	w.checkAll()
	a := w.devices[0]
	for _, b := range w.devices[1:] {
		ha, hb := a.Hello(b.id()), b.Hello(a.id())
		if ha.Fingerprint != hb.Fingerprint || !ha.Claims.Covers(hb.Claims) || !hb.Claims.Covers(ha.Claims) || !ha.Settled || !hb.Settled {
			w.t.Fatalf("%s and %s differ:\n%+v\n%+v", a.name, b.name, ha, hb)
		}
		if got, want := fmt.Sprint(everything(w.t, b.Replica)), fmt.Sprint(everything(w.t, a.Replica)); got != want {
			w.t.Fatalf("%s shows\n%s\n%s shows\n%s", b.name, got, a.name, want)
		}
	}
}

// everything is path and size of all that a replica shows, in order.
func everything(t testing.TB, r *Replica) (out []string) {
	t.Helper()
	var walk func(dir NodeID, path string)
	walk = func(dir NodeID, path string) {
		for after := uint64(0); ; {
			page, err := r.List(dir, after, 100)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				return
			}
			for _, e := range page {
				after = e.Cookie
				out = append(out, fmt.Sprintf("%s/%s=%d", path, e.Name, e.Size()))
				if e.Kind == Dir {
					walk(e.ID, path+"/"+e.Name)
				}
			}
		}
	}
	walk(Root, "")
	return out
}

// A device is restored from an image and works on before it meets anybody. Whether it can see
// that by its disk or only hears it from the others: its new work stays, what the image lacked
// comes back, and all agree.
func TestRestoredDeviceKeepsItsWork(t *testing.T) {
	for _, mark := range []string{"", "another disk"} {
		t.Run(mark, func(t *testing.T) {
			w := newMemWorld(t, 1, 3)
			a, b := w.devices[0], w.devices[1]
			a.image = []byte("a disk")
			a.close()
			a.open()
			mkfile(t, a.Replica, Root, "kept", 1)
			old := mkfile(t, a.Replica, Root, "edited", 2)
			w.heal()
			image := a.mem.Clone()
			must(a.Commit(old.ID, nil, content(3), Now)) // after the image: the disk loses it
			mkfile(t, a.Replica, Root, "lost from the disk", 4)
			must(a.Remove(Root, "kept", false))
			w.heal()
			a.restore(image, mark)
			mkfile(t, a.Replica, Root, "offline", 5)
			must(0, a.SetXattr(old.ID, "user.x", []byte("y"), XattrAny))
			mkdir(t, a.Replica, Root, "dir")
			w.heal()
			w.heal()
			w.converged()
			wantNames(t, b.Replica, Root, "edited", "lost from the disk", "offline", "dir/")
			if e := must(b.Lookup(Root, "edited")); e.Size() != 3 {
				t.Errorf("the image's older bytes came back: %d", e.Size())
			}
			if !a.Restored() || a.inDoubt() {
				t.Error("no new incarnation")
			}
			// From here on it is a device like any other, and removals are collected again.
			must(b.Remove(Root, "offline", false))
			must(a.Remove(Root, "edited", false))
			w.heal()
			w.heal()
			for _, d := range w.devices {
				if n := must(d.Collect(context.Background())); n == 0 {
					t.Errorf("%s collects nothing", d.name)
				}
			}
			w.heal()
			w.converged()
			wantNames(t, a.Replica, Root, "lost from the disk", "dir/")
		})
	}
}

// Who has yet to hear of a new incarnation speaks of the one before: that is no reason for another.
func TestOneIncarnationPerRestore(t *testing.T) {
	w := newMemWorld(t, 1, 3)
	a := w.devices[0]
	a.lieOn("a disk")
	mkfile(t, a.Replica, Root, "before", 1)
	image := a.mem.Clone()
	mkfile(t, a.Replica, Root, "after", 2)
	w.heal()
	a.restore(image, "another disk")
	began := a.self.Incarnation
	if began == 1 {
		t.Fatal("the restore went unnoticed")
	}
	for _, b := range w.devices[1:] {
		pull(t, a, b, -1)
	}
	w.heal()
	w.converged()
	if a.self.Incarnation != began {
		t.Error("one restore, two incarnations")
	}
}

// Nothing is collected before every member knows of the removal, and nothing shows of it then.
func TestCollect(t *testing.T) {
	w := newMemWorld(t, 1, 3)
	a, b, c := w.devices[0], w.devices[1], w.devices[2]
	ctx := context.Background()
	d := mkdir(t, a.Replica, Root, "d")
	f := mkfile(t, a.Replica, d.ID, "f", 1)
	must(0, a.SetXattr(f.ID, "user.x", []byte("y"), XattrAny))
	must(0, a.SetPlacement(f.ID, a.id(), Pinned))
	mkfile(t, a.Replica, Root, "stays", 2)
	w.heal()
	must(a.Remove(d.ID, "f", false))
	must(a.Remove(Root, "d", true))
	pull(t, b, a, -1)
	pull(t, a, b, -1)
	if n := must(a.Collect(ctx)); n != 0 {
		t.Errorf("collected %d before c knew", n)
	}
	w.heal()
	for range 2 { // the directory after what was in it
		must(a.Collect(ctx))
		must(b.Collect(ctx))
	}
	w.converged() // with some that have collected and one that has not
	if n := must(a.Collect(ctx)); n != 0 {
		t.Errorf("%d left over", n)
	}
	for _, table := range []byte{tableDead, tableXattr, tablePolicy} {
		must(0, a.db.ScanKeys(a.db.Key(table), func(k kv.Key) bool {
			t.Errorf("a row of table %c is left", table)
			return true
		}))
	}
	rows := 0
	must(0, a.db.ScanKeys(a.db.Key(tableNode), func(kv.Key) bool { rows++; return true }))
	if rows != 1 {
		t.Errorf("%d nodes are left", rows)
	}
	// A device that joins late gets what lives, from whoever has collected or not.
	late := w.addMem("late")
	pull(t, late, a, -1)
	pull(t, late, c, -1)
	wantNames(t, late.Replica, Root, "stays")
	w.heal()
	w.converged()
}

// A first session that is cut goes on where it was, also after a restart.
func TestCutSessionResumes(t *testing.T) {
	w := newMemWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	const files, page = 2000, 100
	for i := range files {
		mkfile(t, a.Replica, Root, fmt.Sprint("f", i), i+1)
	}
	must(0, a.Sync(context.Background()))
	total := 0
	for range 3 {
		total += pullPages(t, b, a, 8, page)
		b.close()
		b.open()
	}
	total += pull(t, b, a, -1)
	if total != 2*files+3*page { // a frame was on its way each time
		t.Errorf("%d records moved for %d", total, 2*files)
	}
	if got := b.Stat().Files; got != files {
		t.Errorf("%d files", got)
	}
	if len(b.unfinished) != 0 {
		t.Error("a complete session leaves progress behind")
	}
	w.converged()
}

// What a replica lacks without its knowing is found by the fingerprint and fetched again, also what
// it wrote itself.
func TestDamageIsFoundAndMended(t *testing.T) {
	w := newMemWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	for i := range 500 {
		mkfile(t, a.Replica, Root, fmt.Sprint("f", i), i+1)
	}
	w.heal()
	var lost []Dot
	for i := range 70 {
		lost = append(lost, Dot{Writer: a.self, Seq: uint64(100 + 3*i)})
	}
	for _, d := range [][2]*device{{b, a}, {a, b}} {
		hurt, whole := d[0], d[1]
		must(0, hurt.drop("test", lost))
		if hurt.Stat().Files == 500 {
			t.Fatal("nothing lost")
		}
		pull(t, hurt, whole, -1)
		if len(hurt.Differing()) != 1 && hurt.Stat().Files != 500 {
			t.Error("not noticed")
		}
		pull(t, hurt, whole, -1)
		w.converged()
		if n := hurt.Stat().Files; n != 500 || len(hurt.Differing()) != 0 {
			t.Errorf("%s: %d files, differs from %v", hurt.name, n, hurt.Differing())
		}
	}
}

// A difference that nothing mends is looked into a few times, also if another copy of the peer's
// disk agrees in between.
func TestDifferenceThatStays(t *testing.T) {
	w := newMemWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	mkfile(t, a.Replica, Root, "f", 1)
	w.heal()
	must(0, b.drop("test", []Dot{{Writer: a.self, Seq: 1}}))
	for i := range 2 * maxRepairs {
		news := b.News()
		if !hear(t, b, a) {
			t.Fatal("in doubt")
		}
		if (b.News() != news) != (i < maxRepairs) || len(b.Differing()) != 1 {
			t.Errorf("look %d: %d news, differs from %v", i, b.News()-news, b.Differing())
		}
		d := must(a.Since(t.Context(), b.Hello(a.id())))
		if x := b.Audit(a.id(), d.End()); (x != nil) != (i < maxRepairs) {
			t.Errorf("look %d: audit %v", i, x)
		} else if x != nil {
			for q := x.Question(); q != nil; q = x.Question() {
				must(0, x.Hear(must(d.Answer(q))))
			}
			must(x.End()) // and what it wants did not come
		}
		must(0, d.Close())
		h := a.Hello(b.id())
		h.Fingerprint = b.Hello(a.id()).Fingerprint
		must(0, b.Hear(a.id(), h, true))
		if len(b.Differing()) != 0 {
			t.Error("the other copy agrees")
		}
	}
}

// A clock that is years off decides nothing but ties, and is seen.
func TestSkewIsSeen(t *testing.T) {
	w := newMemWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	b.skew = -20 * 365 * 24 * time.Hour
	f := mkfile(t, a.Replica, Root, "f", 1)
	w.heal()
	must(b.Commit(f.ID, nil, content(2), Now)) // has seen the first: not concurrent
	w.heal()
	wantNames(t, a.Replica, Root, "f")
	if e := must(a.Lookup(Root, "f")); e.Size() != 2 {
		t.Errorf("a later write with an earlier clock lost: size %d", e.Size())
	}
	if s, ok := a.Skew(b.id()); !ok || s != b.skew {
		t.Errorf("%v %v", s, ok)
	}
	if _, ok := a.Skew(a.id()); ok {
		t.Error("skew of itself")
	}
}

// Two stores of one device in use at a time are told, and do not chase each other for ever.
func TestCopiedDevice(t *testing.T) {
	w := newMemWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	mkfile(t, a.Replica, Root, "x", 1)
	w.heal()
	twin := &device{t: t, name: a.name, key: a.key, mem: a.mem.Clone(), world: w, image: []byte("copy")}
	a.image = []byte("original")
	a.close()
	a.open()
	twin.open()
	t.Cleanup(twin.close)
	for i := range 10 {
		mkfile(t, a.Replica, Root, fmt.Sprint("a", i), 10+i)
		mkfile(t, twin.Replica, Root, fmt.Sprint("t", i), 30+i)
		for range 2 {
			pull(t, b, a, -1)
			pull(t, a, b, -1)
			pull(t, b, twin, -1)
			pull(t, twin, b, -1)
		}
	}
	if !a.Copied() && !twin.Copied() {
		t.Error("not noticed")
	}
	for _, d := range []*device{a, b, twin} {
		if n := d.Stat().Files; n != 21 {
			t.Errorf("%d files", n)
		}
	}
}

// Two devices that know two sides of a fork do not take from each other what was built on it, but
// everything else. When the device has said what holds, all agree, and have all.
func TestForkStopsOnlyWhatWasBuiltOnIt(t *testing.T) {
	w := newMemWorld(t, 1, 3)
	w.tolerant = true // its own log is refused
	a, b, c := w.devices[0], w.devices[1], w.devices[2]
	a.lieOn("a disk")
	old := mkfile(t, a.Replica, Root, "old", 1)
	shared := mkfile(t, a.Replica, Root, "shared", 2)
	w.heal()
	image := a.mem.Clone()
	must(a.Commit(shared.ID, nil, content(3), Now))
	pull(t, b, a, -1)
	a.restore(image, "")
	must(a.Commit(shared.ID, nil, content(4), Now))
	pull(t, c, a, -1)

	must(b.Commit(shared.ID, nil, content(5), Now))
	must(b.Commit(old.ID, nil, content(6), Now))
	pull(t, c, b, -1)
	if e := must(c.Lookup(Root, "old")); e.Content != content(6) {
		t.Error("what the fork has nothing to do with waits, too")
	}
	if e := must(c.Lookup(Root, "shared")); e.Content != content(4) {
		t.Error("what was built on the other side is taken for an edit of this one")
	}
	w.heal()
	w.heal()
	w.converged()
	have := map[blocks.Content]bool{}
	for _, e := range must(c.List(Root, 0, 100)) {
		have[e.Content] = true
	}
	for _, n := range []int{4, 5, 6} {
		if !have[content(n)] {
			t.Errorf("content %d is gone", n)
		}
	}
}
