package sim

import (
	"fmt"
	"strconv"

	"github.com/shelffs/shelf/internal/namespace"
)

// Run draws a history from two seeds, plays it, and returns it with what went wrong, nil if
// nothing did.
func Run(workload, schedule uint64, cfg Config, stats *Stats) (*Script, *Failure) {
	g := &generator{what: dice(mix(workload ^ 0xa5a5)), when: dice(mix(schedule ^ 0x5a5a)), contents: shared}
	s := g.begin(cfg)
	switch {
	case cfg.Narrow:
		s = g.beginNarrow(cfg)
	case cfg.Forks:
		s = g.beginForked(cfg)
	}
	every := max(cfg.Check, 0)
	if every == 0 {
		every = 32
	}
	s.Thorough = g.when.one(every)
	stats.Schedules++
	w := newWorld(s, cfg, stats)
	f := w.guarded(func() {
		g.plant(w, s)
		for steps := 30 + g.when.n(70); steps > 0 && !g.planned || len(g.queue) > 0 && g.planned; steps-- {
			if x, ok := g.next(w, len(s.Steps)); ok {
				s.Steps = append(s.Steps, x)
				stats.Steps++
				w.play(x)
			}
		}
		w.end()
	})
	return s, f
}

// generator draws steps by looking at what the devices show.
type generator struct {
	what, when dice
	amid       dice // of its own: the other histories stay as they were
	profile
	at             int64 // milliseconds
	raw, unnoticed bool
	talk           int // percent of the steps that are sessions, in this phase
	contents       int // used so far
	handles        int
	queue          []Step // decided on before
}

// profile is what a history is about.
type profile struct {
	dirs    bool // mostly moves of directories, in a common tree
	hot     bool // mostly what is in conflict already, few names
	links   bool
	attrs   bool
	crashes bool
	bad     bool // links that change frames
	collect bool // removals are forgotten
	restore bool // disks are put back
	heavy   bool // much of the two before
	slow    bool // the clocks hardly move: stamps are often equal
	copies  bool // a disk is copied, and both are used for a while
	lies    bool // some sign nonsense
	planned bool // nothing but what is decided on before
	join    bool // somebody joins amid it
	leaves  bool // somebody leaves for ever
}

func (g *generator) begin(cfg Config) *Script {
	s := &Script{Devices: pick(&g.when, []int{2, 2, 3, 3, 3, 4, 4, 5, MaxDevices})}
	s.Blind = -1
	if s.Devices > 2 && g.when.one(4) {
		s.Blind = s.Devices - 1
	}
	const year = 365 * 24 * 3600 * 1000
	for range s.Devices {
		s.Skew = append(s.Skew, pick(&g.when, []int64{0, 0, -50, 50, 3600_000, 20 * year, -20 * year}))
	}
	g.profile = profile{dirs: g.what.one(3), hot: g.what.one(2), links: g.what.one(3), attrs: g.what.one(3), slow: g.what.one(3),
		crashes: g.when.one(3), bad: g.when.one(8), collect: g.when.one(2), restore: g.when.one(3) && !cfg.NoRestore, heavy: g.when.one(2)}
	if g.when.one(6) { // what is known of removals, and lost again
		g.collect, g.restore, g.heavy, g.crashes = true, !cfg.NoRestore, true, false
	}
	g.raw, g.unnoticed = cfg.Raw, cfg.Unnoticed
	g.copies, g.lies, g.join = g.when.one(8), g.when.one(6), g.when.one(4)
	g.talk = 10 + g.when.n(40)
	leaves := dice(mix(uint64(g.when) ^ 0x3c3c)) // as amid
	g.amid = dice(mix(uint64(g.when) ^ 0xc3c3))
	g.leaves = leaves.one(6)
	return s
}

// plant makes what everybody has: a tree to move about, or files to disagree on.
func (g *generator) plant(w *world, s *Script) {
	add := func(dev int, op string, args ...string) {
		x := Step{N: len(s.Steps), At: g.at, Dev: dev, Op: op, Args: args}
		s.Steps = append(s.Steps, x)
		w.play(x)
	}
	switch {
	case g.dirs:
		dirs := []string{""}
		for i := range 6 {
			d := join(pick(&g.what, dirs), fmt.Sprint("d", i))
			dirs = append(dirs, d)
			add(0, "mkdir", d)
			add(0, "create", join(d, "f"), g.fresh())
		}
	case g.hot:
		for _, n := range fewNames[:1+g.what.n(3)] {
			add(0, "create", n, g.fresh())
		}
	default:
		return
	}
	for i := 1; i < s.Devices; i++ {
		add(i, "pull", "a", "100")
	}
}

// next draws a step; false: nothing to do.
func (g *generator) next(w *world, n int) (Step, bool) {
	if !g.slow || g.when.one(4) {
		g.at += int64(g.when.n(3))
	}
	if g.when.one(12) {
		g.talk = g.when.n(60)
	}
	if g.heavy && g.collect && len(g.queue) == 0 && g.when.one(20) {
		g.gather(w.devices)
	}
	if len(g.queue) > 0 {
		s := g.queue[0]
		g.queue = g.queue[1:]
		s.N, s.At = n, g.at
		if s.Op == "" {
			g.actPlanned(w, w.dev(s.Dev), &s)
		}
		return s, s.Op != ""
	}
	d := pick(&g.when, w.devices)
	s := Step{N: n, At: g.at, Dev: d.i}
	if g.copies && g.copy(w, d, &s) || g.lies && g.lie(&s) {
		return s, true
	}
	if g.join && !w.joined && g.when.one(40) {
		s.Op = "join"
		return s, true
	}
	if g.leaves && g.when.one(60) {
		s.Op = "leave"
		return s, true
	}
	x := g.when.n(100)
	switch {
	case x < g.talk:
		g.session(w, d, &s)
	case g.crashes && x >= 92:
		g.trouble(&s)
	case x == 91:
		s.Op = "sync"
	case x == 90:
		s.Op = "restart"
	case x >= 87 && (g.collect || g.restore) || x >= 80 && g.heavy && g.collect:
		s.Op = "collect"
	case x >= 84 && g.restore || x >= 76 && g.heavy && g.restore:
		s.Op = "image"
		if g.raw && g.when.one(2) {
			s.Args = []string{"raw"}
		}
	case (x >= 82 || x >= 73 && g.heavy) && g.restore && d.image != nil:
		s.Op = "restore"
		if g.unnoticed && g.when.one(2) {
			s.Args = []string{"unnoticed"}
		}
	case !d.blind:
		g.act(w, d, &s)
	}
	return s, s.Op != ""
}

// gather lets everybody hear of everything, and that everybody else has, and then forget what
// is removed: it hardly ever comes to that by chance.
func (g *generator) gather(devices []*device) {
	hub := pick(&g.when, devices)
	for range 2 {
		for _, d := range devices {
			if d != hub {
				g.queue = append(g.queue, Step{Dev: hub.i, Op: "pull", Args: []string{deviceName(d.i), "100"}})
			}
		}
		for _, d := range devices {
			if d != hub {
				g.queue = append(g.queue, Step{Dev: d.i, Op: "pull", Args: []string{deviceName(hub.i), "100"}})
			}
		}
	}
	for _, d := range devices {
		if g.when.n(4) > 0 {
			g.queue = append(g.queue, Step{Dev: d.i, Op: "collect"})
		}
	}
}

// copy copies a disk once, and some time later one of the two goes.
func (g *generator) copy(w *world, d *device, s *Step) bool {
	switch {
	case w.dev(twin) == nil && !w.gone && !d.blind && g.when.one(15):
		s.Op = "clone"
		if g.unnoticed && g.when.one(2) {
			s.Args = []string{"unnoticed"}
		}
	case w.dev(twin) != nil && w.other(d) != nil && g.when.one(15):
		s.Op = "retire"
		if g.when.one(2) {
			s.Args = []string{"abruptly"}
		}
	}
	return s.Op != ""
}

func (g *generator) lie(s *Step) bool {
	if !g.when.one(12) {
		return false
	}
	s.Op, s.Args = "lie", []string{strconv.Itoa(g.when.n(liars)), pick(&g.when, lieKinds())}
	return true
}

func (g *generator) session(w *world, d *device, s *Step) {
	from := pick(&g.when, w.devices)
	if from == d {
		return
	}
	peer, page := deviceName(from.i), strconv.Itoa(1+g.when.n(6))
	switch x := g.when.n(10); {
	case x < 5:
		s.Op, s.Args = "pull", []string{peer, "100"}
	case x < 9:
		s.Op, s.Args = "pull", []string{peer, page, strconv.Itoa(g.when.n(6))}
	case g.bad:
		seed := g.when.n(1 << 30)
		if s.Op, s.Args = "garbled", []string{peer, page, strconv.Itoa(seed)}; seed%2 == 0 { // it breaks, too
			s.Args = append(s.Args, "9")
		}
	default:
		s.Op, s.Args = "again", []string{strconv.Itoa(g.when.n(maxFrames))}
	}
	if s.Op == "pull" && g.when.one(2) {
		s.Op = "follow"
	}
	if g.amid.one(8) {
		s.Op, s.Args = "amid", []string{peer, page, strconv.Itoa(g.amid.n(4)), deviceName(pick(&g.amid, w.devices).i), strconv.Itoa(g.amid.n(6) - 1)}
	}
}

func (g *generator) trouble(s *Step) {
	if g.when.one(2) {
		s.Op, s.Args = "crash", []string{strconv.Itoa(g.when.n(8))}
	} else {
		s.Op, s.Args = "power", []string{strconv.Itoa(g.when.n(6)), strconv.Itoa(g.when.n(8)), strconv.Itoa(g.when.n(3))}
	}
}

// fresh is a content, now and then one that others write too.
func (g *generator) fresh() string {
	n := 4
	if g.hot {
		n = 2
	}
	if g.what.one(n) {
		return strconv.Itoa(1 + g.what.n(shared))
	}
	g.contents++
	return strconv.Itoa(g.contents)
}

var fewNames = []string{"a", "b.txt", "A", "c"}

// act draws what a user does.
func (g *generator) act(w *world, d *device, s *Step) {
	v := d.view()
	dirs := []string{""}
	var files, folders, hot []*item
	for i := range v.items {
		switch x := &v.items[i]; {
		case x.isDir():
			dirs, folders = append(dirs, x.path), append(folders, x)
		default:
			files = append(files, x)
			if x.Conflict != nil {
				hot = append(hot, x)
				if of := d.ids(v)[x.Conflict.Of]; of != nil && !of.isDir() {
					hot = append(hot, of)
				}
			}
		}
	}
	name := pick(&g.what, fewNames)
	if g.hot {
		name = pick(&g.what, fewNames[:2])
		if len(hot) > 0 && !g.what.one(3) {
			files = hot
		}
	}
	to := join(pick(&g.what, dirs), name)
	do := func(op string, args ...string) { s.Op, s.Args = op, args }
	fresh := g.fresh()
	if len(hot) > 0 && g.what.one(8) { // bytes that are there already
		fresh = strconv.Itoa(contentOf(&pick(&g.what, hot).entry))
	}
	if len(hot) > 0 && g.what.one(16) {
		do("settle", pick(&g.what, hot).path, pick(&g.what, []string{"mine", "theirs", "both"}))
		return
	}
	x := g.what.n(100)
	if g.dirs && len(folders) > 0 && g.what.one(2) {
		x = 60
	}
	switch any := len(files) > 0; {
	case x < 20 || len(v.items) == 0:
		switch e, err := d.names.Resolve(to); {
		case err != nil && g.what.one(10):
			do("symlink", to, fresh)
		case err != nil && g.what.one(30):
			do("mkfifo", to)
		case err != nil:
			do("create", to, fresh)
		case e.Kind == namespace.File:
			do("write", to, fresh)
		}
	case x < 32:
		do("mkdir", to)
	case x < 42 && any:
		do("write", pick(&g.what, files).path, fresh)
	case x < 46 && any:
		g.handles++
		do("open", pick(&g.what, files).path, fmt.Sprint("h", g.handles))
	case x < 50 && g.handles > 0:
		do("commit", fmt.Sprint("h", 1+g.what.n(g.handles)), fresh)
	case x < 57 || g.attrs && x < 70:
		if len(v.items) > 0 {
			g.attribute(pick(&g.what, v.items).path, do)
		}
	case x < 82:
		g.rename(files, folders, to, x == 60, do)
	case x < 87 && g.links && any:
		do("link", pick(&g.what, files).path, to)
	case x < 94 && any:
		do("unlink", pick(&g.what, files).path)
	case len(folders) > 0 && g.what.one(6):
		do("rmdir", pick(&g.what, folders).path)
	case len(folders) > 0:
		do("rmrf", pick(&g.what, folders).path)
	}
}

func (g *generator) rename(files, folders []*item, to string, dir bool, do func(string, ...string)) {
	var e *item
	switch {
	case len(folders) > 0 && (dir || len(files) == 0 || g.what.one(2)):
		e = pick(&g.what, folders)
		if g.what.one(2) { // keeps its name
			up, _ := splitPath(to)
			to = join(up, e.Name)
		}
	case len(files) > 0:
		e = pick(&g.what, files)
	default:
		return
	}
	switch g.what.n(4) {
	case 0:
		do("rename", e.path, to, "exchange")
	case 1:
		do("rename", e.path, to, "noreplace")
	default:
		do("rename", e.path, to)
	}
}

func (g *generator) attribute(path string, do func(string, ...string)) {
	value := strconv.Itoa(g.what.n(0o1000))
	switch g.what.n(8) {
	case 0, 1:
		do("chmod", path, value)
	case 2:
		do("chown", path, value)
	case 3, 4:
		do("utimes", path, "-"+value)
	case 5:
		do("xattr", path, pick(&g.what, []string{"user.x", "user.y"}), value)
	case 6:
		do("rmxattr", path, pick(&g.what, []string{"user.x", "user.y"}))
	default:
		do("policy", path, strconv.Itoa(g.what.n(3)), strconv.Itoa(g.what.n(4)))
	}
}
