package sim

import (
	"slices"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// What may be lost with a disk is only what nobody else can have: every other device that
// claims a write includes its effect, durably.

// fate is what became of a fact when a disk was put back or went for good.
type fate int

const (
	kept  fate = iota // some device includes it
	vague             // some device may hold it: a session that would have told was cut
	lost              // nobody can know of it
)

// knowledge is what one device knows at a moment.
type knowledge struct {
	d      *device
	claims namespace.Claims
	ends   map[ident.Writer]uint64 // of the logs of others, as far as seen
}

func (w *world) knowledge() (out []knowledge) {
	for _, d := range w.devices {
		out = append(out, d.knowledge())
	}
	return out
}

func (d *device) knowledge() knowledge {
	k := knowledge{d, d.names.Claims(), map[ident.Writer]uint64{}}
	h := d.names.Hello(ident.DeviceID{}) // to nobody: all logs are others'
	for _, x := range h.Ends {
		k.ends[x.Writer] = x.Seq
	}
	return k
}

// mayKnow reports whether the device claims what an operation wrote, or may hold it: a session that
// would have told was cut.
func (k *knowledge) mayKnow(f *fact) bool {
	return k.ends[f.by] >= f.seq || slices.ContainsFunc(f.again, func(e namespace.Dot) bool { return k.ends[e.Writer] > 0 })
}

// hasAll reports whether the device claims all that an operation wrote: of closed logs it may be
// a part.
func (k *knowledge) hasAll(f *fact) bool {
	for seq := f.from; seq <= f.seq; seq++ {
		if !k.claims.Has(namespace.Dot{Writer: f.by, Seq: seq}) {
			return false
		}
	}
	return true
}

// fate of a fact, given what everybody knows.
func (o *oracle) fate(f *fact, all []knowledge) fate {
	worst := lost
	for _, k := range all {
		switch {
		case k.d.i == f.dev && k.d.life == f.life: // its own disk
			return kept
		case o.w.numbers.forked[f.by]: // by its number it may be another write
			if f.kind == wrote && o.shows(k.d, f) {
				return kept
			}
			if k.d.id == f.by.Device || k.mayKnow(f) {
				worst = vague
			}
		case k.hasAll(f) || slices.ContainsFunc(f.again, k.claims.Has):
			return kept
		case k.d.id != f.by.Device || k.d.i == f.dev && k.d.life == f.life+1: // its disk is older, and may have heard of it since
			if k.mayKnow(f) {
				worst = vague
			}
		default:
			worst = vague // numbers of its own that it cannot tell apart
		}
	}
	return worst
}

func (o *oracle) shows(d *device, f *fact) bool {
	if f.what == 0 {
		_, err := d.names.Get(f.dir)
		return err == nil
	}
	return slices.ContainsFunc(d.view().items, func(x item) bool { return contentOf(&x.entry) == f.what })
}

// rewritten notes which devices go on under a new incarnation: then they have written again
// what others need not know by its first numbers.
func (o *oracle) rewritten() {
	for _, d := range o.w.devices {
		now := d.names.Writer()
		if now == d.writer {
			continue
		}
		if n := d.names.Written(); n > 0 {
			for i := range o.facts {
				if f := &o.facts[i]; f.dev == d.i && f.life == d.life {
					f.again = append(f.again[:len(f.again):len(f.again)], namespace.Dot{Writer: now, Seq: n})
				}
			}
		}
		d.writer = now
	}
}

// lost drops what was lost with a disk: what somebody wrote need not be there any more, and
// what somebody removed may be back.
func (o *oracle) lost() {
	o.rewritten()
	o.sift(func(*fact) bool { return true })
}

// crashed drops what a crash undid of a log that had forked: of that nobody can say what is durable
// where.
func (o *oracle) crashed() {
	o.sift(func(f *fact) bool { return o.w.numbers.forked[f.by] })
}

func (o *oracle) sift(which func(*fact) bool) {
	all := o.w.knowledge()
	var rest []fact
	for _, f := range o.facts {
		if !which(&f) {
			rest = append(rest, f)
			continue
		}
		switch how := o.fate(&f, all); {
		case how == kept:
			rest = append(rest, f)
		case f.kind == wrote:
			f.kind = removed
			rest = append(rest, f)
		case f.kind == removed && (how == vague || f.vague || f.heard):
			f.vague = true // somebody may have built on it
			rest = append(rest, f)
		}
	}
	o.facts = rest
}

// of lists what happened on a device and is in its log.
func (o *oracle) of(d *device) (out []fact) {
	for _, f := range o.facts {
		if f.dev == d.i && f.life == d.life {
			out = append(out, f)
		}
	}
	return out
}

// heard: a disk is about to be put back that may know of what others did. Who built on it may have told
// that, which is then remembered, though what it was built on is not.
func (o *oracle) heard(d *device) {
	k := d.knowledge()
	for i := range o.facts {
		f := &o.facts[i]
		f.heard = f.heard || f.dev != d.i && k.mayKnow(f)
	}
}

// restored: a disk is as it was when an image of it was made.
func (o *oracle) restored(d *device, im *image) {
	d.life++
	there := map[int]bool{}
	for i := range o.facts {
		f := &o.facts[i]
		if there[f.n] = true; f.dev == d.i && f.n <= im.noted && f.life == d.life-1 {
			f.life = d.life
		}
	}
	for _, f := range im.facts {
		if there[f.n] { // not undone by a crash
			continue
		}
		if f.kind == gone && f.dot.Writer == f.by && f.dot.Seq > im.synced {
			continue // since the crash its number may have been told, and a new incarnation does not cover such
		}
		f.life = d.life
		o.facts = append(o.facts, f)
	}
	o.lost()
}
