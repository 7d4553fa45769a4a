package sim

import (
	"maps"

	"github.com/shelffs/shelf/internal/kv"
)

// What befalls machines.

// sync makes a device's operations durable.
func (w *world) sync(d *device, _ *Step) {
	if err := d.names.Sync(ctx); !d.broke(err) {
		d.ok(err)
		d.durable()
		if d.promised != d.names.Written() {
			w.fail("durable is durable", "after Sync %d of %d writes are durable", d.promised, d.names.Written())
		}
	}
}

func (w *world) restart(d *device, _ *Step) { d.restart() }

// crash: the power fails while the device is idle.
func (w *world) crash(d *device, s *Step) { d.crash(s.num(0)) }

// power: it will fail amid something.
func (w *world) power(d *device, s *Step) {
	d.dying, d.keep, d.store.fuse = true, s.num(1), s.num(2)
	d.disk.FailAfter(s.num(0))
}

// join: a new member, who knows nothing yet, and of whom only who lets it in knows; or all, if it is
// known at once.
func (w *world) join(d *device, s *Step) {
	if w.dev(joiner) == nil && !w.joined {
		w.joined = true
		w.stats.Met["members who joined"]++
		j := w.add(joiner)
		j.deaf = true
		if d.blind { // who has no keys lets nobody in
			d = w.sighted()
		}
		j.invite(d)
		if s.arg(0) == "known" {
			w.introduce()
		}
		j.start()
	}
}

// leaves: a member is one no more, and nobody hears of it again. It brings its work to the others
// before, unless that is done abruptly.
func (w *world) leaves(d *device, s *Step) {
	if len(w.members()) < 3 || w.copied() || d == w.devices[0] {
		return
	}
	w.stats.Met["members who left"]++
	if s.arg(0) != "abruptly" {
		w.bringAll(d)
	}
	w.remove(d)
	w.left = append(w.left, d)
	w.sighted().roster[d.id] = false
	w.oracle.lost()
}

// collect forgets removals, which changes nothing that is shown (invariant 14).
func (w *world) collect(d *device, _ *Step) {
	before := d.view()
	n, err := d.names.Collect(ctx)
	d.seen = nil
	if d.broke(err) {
		return
	}
	d.ok(err)
	if n == 0 {
		return
	}
	w.stats.Met["collections of something"]++
	w.dropped, d.deaf = true, true
	d.shown = map[nodeID]*item{} // what is forgotten and comes back is new
	after := d.view()
	for i := range min(len(before.items), len(after.items)) {
		if x, y := &before.items[i], &after.items[i]; x.path != y.path || !equal(x.entry, y.entry) {
			w.fail("collection changes nothing", "%q %+v\nbecame\n%q %+v", x.path, x.entry, y.path, y.entry)
		}
	}
	if len(before.items) != len(after.items) {
		w.fail("collection changes nothing", "%d entries, then %d", len(before.items), len(after.items))
	}
	if w.check {
		d.checkView()
	}
}

// image is a backup of a whole disk.
type image struct {
	disk   *kv.Memory
	known  roster
	synced uint64 // what of its log was told, or could be
	noted  int    // facts noted before, of all devices,
	facts  []fact // and those of this one: a crash may undo on its disk what the image has
}

// image makes one. Raw: amid work, while operations wait to be made durable.
func (w *world) image(d *device, s *Step) {
	if s.arg(0) != "raw" {
		w.sync(d, s)
	}
	d.image = &image{d.disk.Clone(), maps.Clone(d.roster), d.names.Synced(), w.oracle.n, w.oracle.of(d)}
}

// restore puts the image back. Unnoticed: it looks like the disk that was there.
func (w *world) restore(d *device, s *Step) {
	im := d.image
	if im == nil {
		return
	}
	w.restored = true
	w.stats.Met["restored disks"]++
	for id := range d.roster {
		if _, known := im.known[id]; !known {
			w.forgot = true
		}
	}
	w.oracle.heard(d)
	d.roster = maps.Clone(im.known)
	d.disk = im.disk.Clone() // bytes are not its matter: others may have fetched them
	d.handles, d.frames = map[string]handle{}, nil
	d.dying, d.store.fuse = false, 0
	if s.arg(0) != "unnoticed" {
		d.mark = []byte{d.mark[0], d.mark[1] + 1}
	}
	d.start()
	if s.arg(0) == "unnoticed" {
		w.fork(d)
	}
	d.durable()
	w.oracle.restored(d, im)
	d.checkView()
}
