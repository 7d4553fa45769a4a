package sim

import "maps"

// A copied disk: for a while two machines call themselves the same device. They do not talk to
// each other, for nobody connects to himself.

// clone copies a device's disk for another machine. Unnoticed: the copy looks like the
// original.
func (w *world) clone(d *device, s *Step) {
	if w.dev(twin) != nil || d.blind || w.retired() {
		return
	}
	w.sync(d, s)
	if w.dev(d.i) != d || d.dying {
		return
	}
	w.restored = true
	w.stats.Met["copied disks"]++
	t := w.add(twin)
	t.id, t.key, t.skew = d.id, d.key, d.skew
	t.disk, t.roster = d.disk.Clone(), maps.Clone(d.roster)
	if s.arg(0) == "unnoticed" {
		t.mark = d.mark
	}
	t.start()
	if s.arg(0) == "unnoticed" {
		w.fork(t)
	}
	t.durable()
	t.since = d.names.Written()
	t.checkView()
}

// copied reports whether a disk was copied in this play. Two machines of one name may come to
// claim the same and hold something else, until an audit has mended that.
func (w *world) copied() bool { return w.dev(twin) != nil || w.gone }

// retired reports whether there was a copy that is no more.
func (w *world) retired() bool { return w.gone }

// retire ends one of the two for ever: somebody has found out. It brings its work to the
// others before, unless that is done abruptly: then what nobody has heard of is lost.
func (w *world) retire(d *device, s *Step) {
	if w.other(d) == nil {
		return
	}
	if s.arg(0) != "abruptly" {
		w.bringAll(d)
	}
	w.gone = true
	w.remove(d)
	w.oracle.lost()
}

// bringAll lets a device that is about to go talk to all others until they know all that it does.
func (w *world) bringAll(d *device) {
	for range 3 {
		for _, x := range w.devices {
			if x.id != d.id {
				w.session(d, x, plain)
				w.session(x, d, plain)
				x.shown = map[nodeID]*item{} // nobody has watched
			}
		}
	}
	w.oracle.rewritten()
}

func (w *world) remove(d *device) {
	for i, x := range w.devices {
		if x == d {
			w.devices = append(w.devices[:i:i], w.devices[i+1:]...)
			return
		}
	}
}

// other is the other machine of this device's name, nil if there is none.
func (w *world) other(d *device) *device {
	for _, x := range w.devices {
		if x.id == d.id && x != d {
			return x
		}
	}
	return nil
}

// copies: two machines that both are used under one name are told, and do not chase each other
// for ever.
func (w *world) copies() {
	t := w.dev(twin)
	if t == nil {
		return
	}
	o := w.other(t)
	if o != nil && !t.names.Restored() && !o.names.Restored() && t.names.Written() > t.since && o.names.Written() > t.since {
		w.fail("a copied device is noticed", "%s and its copy both are %v", deviceName(o.i), t.names.Writer())
	}
}
