package sim

import "fmt"

// maxRounds is how often everybody may have to talk to everybody until all is said: forks are settled one after
// the other.
func (w *world) maxRounds() int { return 12 + 8*len(w.numbers.forked) }

// end brings everybody together and looks at the result.
func (w *world) end() {
	w.step = Step{N: 1 << 20, At: w.step.At + 1000, Op: "end"}
	w.dice = dice(w.step.N)
	for _, d := range w.devices {
		if d.dying {
			d.crash(d.keep)
		}
	}
	w.introduce()                 // whom nobody knows any more is let in anew,
	for _, gone := range w.left { // and who has left, of which nobody knows any more, is removed once more
		for _, d := range w.devices {
			d.roster[gone.id] = false
		}
	}
	w.lieAgain()
	w.heal()
	w.agree()
	w.copies()
	if w.dice.one(2) { // some forget removals, and everybody talks again (invariant 15)
		for _, d := range w.devices {
			if w.dice.one(2) {
				w.collect(d, nil)
			}
		}
		w.heal()
		w.agree()
	}
	w.oracle.judge(w.sighted())
	w.saved(w.sighted())
	if w.cfg.Newcomer || w.check {
		w.newcomer()
		w.newFromBlind()
	}
}

// agree: all show the same, and what they show is right.
func (w *world) agree() {
	first := w.sighted()
	look := w.dice.n(len(w.devices))
	for i, d := range w.devices {
		if w.check || i == look {
			d.checkView()
		}
		switch {
		case d.blind:
			w.holdsSame(first, d)
		case d != first:
			w.same(first, d)
			w.alike(first, d)
		}
	}
}

// heal lets everybody talk until a whole round, each with each, moves nothing (invariant 4).
// Before each such round one device gathers everything and passes it on.
func (w *world) heal() {
	said := ""
	talk := func(a, b *device) {
		if a.id == b.id {
			return
		}
		if moved, complete := w.session(a, b, plain); moved.frames > 0 || !complete {
			said += fmt.Sprintf("\n%s from %s: %d frames, %d records, complete: %v", deviceName(a.i), deviceName(b.i), moved.frames, moved.records, complete)
		}
	}
	for range w.maxRounds() {
		hub := w.devices[w.dice.n(len(w.devices))]
		for _, d := range w.devices {
			talk(hub, d)
		}
		for _, d := range w.devices {
			talk(d, hub)
		}
		said = ""
		for _, a := range w.devices {
			for _, b := range w.devices {
				talk(a, b)
			}
		}
		if said == "" {
			return
		}
	}
	w.fail("quiescence", "after %d rounds there is still something to say:%s", w.maxRounds(), said)
}

// newcomer lets an empty device hear everything from several others, in pieces, some twice and
// some late: it ends up with what all have (invariants 2, 3).
func (w *world) newcomer() {
	first, others := w.sighted(), w.devices
	n := w.add(late)
	n.invite(first)
	w.introduce()
	n.start()
	for range 6 + w.dice.n(6) {
		src := pick(&w.dice, others)
		w.session(n, src, conn{page: 1 + w.dice.n(6), cut: w.dice.n(8)})
		w.again(n, &Step{Args: []string{"7"}})
		if w.check {
			n.checkView()
		}
	}
	for _, src := range others {
		w.session(n, src, plain)
	}
	for range 2 { // frames that came late may have held claims back
		w.session(n, first, plain)
	}
	n.checkView()
	w.same(first, n)
	w.alike(first, n)
}
