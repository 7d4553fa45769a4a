package sim

import (
	"maps"

	"github.com/shelffs/shelf/internal/namespace"
)

// A device without keys runs the causal register store alone. It takes part in all that
// befalls devices, and nobody works there.

// sighted is the first device that shows something.
func (w *world) sighted() *device {
	for _, d := range w.devices {
		if !d.blind {
			return d
		}
	}
	return w.devices[0]
}

// unseen is the device without keys, nil if there is none.
func (w *world) unseen() *device {
	for _, d := range w.devices {
		if d.blind {
			return d
		}
	}
	return nil
}

// holdsSame: a device without keys holds what a member does, once both claim the same and
// nothing is under way (invariant 23). What some have forgotten as dead others may still hold.
// Who cannot open a record cannot refuse it for what is in it.
func (w *world) holdsSame(member, blind *device) {
	x, y := honest(member.names.Claims()), honest(blind.names.Claims())
	if !x.Covers(y) || !y.Covers(x) {
		w.fail("a device without keys holds the same", "%s claims\n%v\nand %s\n%v", deviceName(member.i), x, deviceName(blind.i), y)
	}
	if w.dropped {
		return
	}
	w.stats.Met["devices without keys compared"]++
	ours, theirs := member.dump(), blind.dump()
	for _, all := range []map[namespace.Dot]string{ours, theirs} {
		maps.DeleteFunc(all, func(d namespace.Dot, _ string) bool { return isLiar(d.Writer) })
	}
	if maps.Equal(ours, theirs) {
		return
	}
	for d, r := range ours {
		if theirs[d] != r {
			w.fail("a device without keys holds the same", "%s holds %d bytes of %v, and %s %d", deviceName(member.i), len(r), d, deviceName(blind.i), len(theirs[d]))
		}
	}
	for d := range theirs {
		if ours[d] == "" {
			w.fail("a device without keys holds the same", "only %s holds %v", deviceName(blind.i), d)
		}
	}
}

// newFromBlind: who has heard nobody but the device without keys shows what all show.
func (w *world) newFromBlind() {
	first, src := w.sighted(), w.unseen()
	if src == nil {
		return
	}
	n := w.add(later)
	n.invite(first)
	w.introduce()
	n.start()
	for range 2 {
		w.session(n, src, conn{page: 1 + w.dice.n(6), cut: w.dice.n(8)})
		w.session(n, src, plain)
	}
	n.checkView()
	w.same(first, n)
	w.alike(first, n)
}
