package sim

import (
	"strconv"
)

// Narrow histories, of a few files or a small tree, are about what a session that is cut may hide, and a disk that is put
// back then loses for good. That takes some ten steps in the right order, which hardly ever come together in the others.

func (g *generator) beginNarrow(cfg Config) *Script {
	s := &Script{Devices: 2 + g.when.n(2), Blind: -1}
	s.Skew = make([]int64, s.Devices)
	g.profile = profile{planned: true, hot: true, links: g.what.one(4), dirs: g.what.one(3)}
	for range 1 + g.when.n(2) {
		g.episode(s.Devices, cfg)
	}
	return s
}

// episode plans how some work on one file apart and meet, go on working, hear of each other in part, and are put back.
// A step without an operation is whatever its device does then.
func (g *generator) episode(devices int, cfg Config) {
	other := func(dev int) int { return (dev + 1 + g.when.n(devices-1)) % devices }
	first := g.when.n(devices)
	second := other(first)
	for _, dev := range []int{first, second} {
		if g.dirs {
			g.plan(dev, "")
		} else {
			g.plan(dev, "write", fewNames[0], g.fresh())
		}
	}
	for _, dev := range []int{first, second, first} {
		for from := range devices {
			if from != dev {
				g.pull(dev, from, true)
			}
		}
	}
	if g.what.one(3) { // what was removed before is forgotten
		g.plan(first, "unlink", fewNames[0])
		for range 2 {
			for dev := range devices {
				g.pull(dev, other(dev), true)
			}
		}
		for dev := range devices {
			g.plan(dev, "collect")
		}
	}
	var images []int
	for dev := range devices {
		if !cfg.NoRestore && g.when.n(4) > 0 {
			g.plan(dev, "image")
			if images = append(images, dev); cfg.Raw && g.when.one(2) {
				g.queue[len(g.queue)-1].Args = []string{"raw"}
			}
		}
	}
	worker := g.when.n(devices)
	for range 1 + g.when.n(3) {
		for range 1 + g.when.n(4) {
			g.plan(worker, "")
		}
		if g.when.one(2) {
			was := worker
			worker = other(worker)
			g.pull(worker, was, g.when.one(2))
		}
	}
	g.pull(other(worker), worker, false)
	for _, dev := range images {
		if g.when.n(4) > 0 {
			g.plan(dev, "restore")
			if cfg.Unnoticed && g.when.one(2) {
				g.queue[len(g.queue)-1].Args = []string{"unnoticed"}
			}
		}
	}
}

// plan plans a step; without an operation it is whatever the device does then.
func (g *generator) plan(dev int, op string, args ...string) {
	g.queue = append(g.queue, Step{Dev: dev, Op: op, Args: args})
}

// pull plans a session, or what a cut one brings.
func (g *generator) pull(dev, from int, complete bool) {
	if complete {
		g.plan(dev, "pull", deviceName(from), "100")
	} else {
		g.plan(dev, "pull", deviceName(from), "1", strconv.Itoa(1+g.when.n(4)))
	}
}

// actPlanned draws what a user does, mostly to what is in conflict.
func (g *generator) actPlanned(w *world, d *device, s *Step) {
	switch {
	case d == nil || d.blind:
		return
	case g.dirs:
		g.act(w, d, s)
		return
	}
	v := d.view()
	var files, hot []*item
	for i := range v.items {
		if x := &v.items[i]; !x.isDir() {
			files = append(files, x)
			if x.Conflict != nil {
				hot = append(hot, x)
			}
		}
	}
	name, fresh := pick(&g.what, fewNames[:2]), g.fresh()
	do := func(op string, args ...string) { s.Op, s.Args = op, args }
	if len(files) == 0 {
		do("create", name, fresh)
		return
	}
	path := pick(&g.what, files).path
	if len(hot) > 0 && g.what.one(2) {
		path = pick(&g.what, hot).path
	}
	switch x := g.what.n(20); {
	case x < 5:
		do("write", path, fresh)
	case x < 10:
		do("rename", path, pick(&g.what, fewNames))
	case x < 15:
		do("utimes", path, "-"+strconv.Itoa(g.what.n(1000)))
	case x < 17:
		do("unlink", path)
	case x < 18 && g.links:
		do("link", path, pick(&g.what, fewNames))
	case x < 19 && len(hot) > 0:
		do("settle", pick(&g.what, hot).path, pick(&g.what, []string{"mine", "theirs", "both"}))
	default:
		do("create", name, fresh)
	}
}
