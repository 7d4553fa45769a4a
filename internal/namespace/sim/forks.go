package sim

import (
	"slices"
	"strconv"
)

// Forked histories are about one log that has forked: a disk is put back or copied, its device cannot notice, and
// each side is told to some. Then that device may leave for ever, before it could say which side holds.

func (g *generator) beginForked(cfg Config) *Script {
	s := &Script{Devices: 3 + g.when.n(3), Blind: -1}
	if g.when.one(2) {
		s.Blind = s.Devices - 1
	}
	s.Skew = make([]int64, s.Devices)
	g.profile = profile{planned: true, hot: g.what.one(2), links: g.what.one(4), dirs: g.what.one(3)}
	f := forkPlan{g: g, raw: cfg.Raw}
	for dev := range s.Devices {
		f.there = append(f.there, dev)
		if dev != s.Blind {
			f.sighted = append(f.sighted, dev)
		}
	}
	forked := f.sighted[1+g.when.n(len(f.sighted)-1)] // the first one never leaves
	f.meanwhile(4)
	if g.when.one(4) {
		f.copied(forked)
	} else {
		for range 1 + g.when.n(3) {
			f.putBack(forked)
			if g.when.one(2) {
				f.meanwhile(5)
			}
		}
		if g.when.one(5) { // another one, too
			f.putBack(pick(&g.when, f.sighted))
		}
		if g.when.one(2) {
			f.leaves(forked)
		}
	}
	f.meanwhile(18)
	return s
}

// forkPlan plans one.
type forkPlan struct {
	g       *generator
	raw     bool
	there   []int // devices that are there then,
	sighted []int // and those with keys
	images  []int // who has an image of its disk
	joined  bool
}

// side lets a device work, and tells some of the others, at times nobody, and not always all of it.
func (f *forkPlan) side(dev int) {
	g := f.g
	for range 1 + g.when.n(3) {
		g.plan(dev, "")
	}
	told := false
	for _, to := range f.there {
		if to != dev && to != twin && (g.when.one(2) || !told && to == f.there[len(f.there)-1]) {
			g.pull(to, dev, g.when.n(4) > 0)
			told = true
		}
	}
}

func (f *forkPlan) image(dev int) {
	f.g.plan(dev, "image")
	if f.raw && f.g.when.one(2) {
		f.g.queue[len(f.g.queue)-1].Args = []string{"raw"}
	}
}

// putBack has a device write two sides.
func (f *forkPlan) putBack(dev int) {
	f.image(dev)
	f.side(dev)
	if f.g.when.one(3) {
		f.g.plan(dev, "restart")
	}
	f.g.plan(dev, "restore", "unnoticed")
	f.side(dev)
}

// copied has two machines write a side each, and one of them go.
func (f *forkPlan) copied(dev int) {
	g := f.g
	g.plan(dev, "clone", "unnoticed")
	f.there, f.sighted = append(f.there, twin), append(f.sighted, twin)
	for range 1 + g.when.n(2) {
		f.side(dev)
		f.side(twin)
		f.meanwhile(3)
	}
	goes := pick(&g.when, []int{dev, twin})
	if g.plan(goes, "retire"); g.when.one(2) {
		g.queue[len(g.queue)-1].Args = []string{"abruptly"}
	}
	f.without(goes)
}

func (f *forkPlan) leaves(dev int) {
	f.g.plan(dev, "leave", "abruptly")
	f.without(dev)
}

func (f *forkPlan) without(dev int) {
	for _, list := range []*[]int{&f.there, &f.sighted, &f.images} {
		*list = slices.DeleteFunc(*list, func(x int) bool { return x == dev })
	}
}

// meanwhile plans up to n steps of whoever is there.
func (f *forkPlan) meanwhile(n int) {
	g := f.g
	for range g.when.n(n + 1) {
		dev, who := pick(&g.when, f.sighted), pick(&g.when, f.there)
		switch x := g.when.n(40); {
		case x < 14:
			g.plan(dev, "")
		case x < 34:
			if from := pick(&g.when, f.there); from != who {
				g.pull(who, from, g.when.n(3) > 0)
			}
		case x < 35:
			g.plan(dev, "restart")
		case x < 36:
			g.plan(dev, "collect")
		case x < 37:
			f.image(dev)
			f.images = append(f.images, dev)
		case x < 38:
			g.plan(dev, "crash", strconv.Itoa(g.when.n(8)))
		case x < 39:
			if len(f.images) > 0 {
				g.plan(pick(&g.when, f.images), "restore")
			}
		case !f.joined:
			f.joined = true
			g.plan(dev, "join")
			f.there, f.sighted = append(f.there, joiner), append(f.sighted, joiner)
		}
	}
}
