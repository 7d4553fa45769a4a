package namespace

import (
	"context"
	"fmt"
	"github.com/shelffs/shelf/internal/ident"
	"math/rand"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// The model test plays random histories on several replicas with random, partial, repeated
// delivery, and checks after every step what the design lists as invariants: the incremental
// view equals the pure one, a local operation changes no bystander and shows at once, watchers
// hear of everything; and in the end: all replicas show the same, nothing that nobody removed
// is gone, nothing that somebody removed is back, and a further round moves nothing.
type play struct {
	t     testing.TB
	w     *world
	rng   *rand.Rand
	cfg   playConfig
	log   []string
	met   map[string]int
	next  int              // next content
	alive map[int]string   // contents that must not get lost
	gone  map[Dot]bool     // versions that a user saw and removed
	open  []handle         // files that somebody has open
	old   map[int][][]byte // frames delivered before, by receiver
}

type playConfig struct{ dirs, bias, links, restart bool }

type handle struct {
	dev  int
	id   NodeID
	base []Dot
	seen int
}

func (p *play) logf(f string, a ...any) { p.log = append(p.log, fmt.Sprintf(f, a...)) }

func (p *play) fatalf(f string, a ...any) {
	p.t.Helper()
	p.t.Fatalf("%s\n%s", strings.Join(p.log, "\n"), fmt.Sprintf(f, a...))
}

var playNames = []string{"a", "b.txt", "A", "c"}

func TestModel(t *testing.T) {
	from, runs := 0, 45
	if testing.Short() {
		runs = 10
	}
	if s := os.Getenv("SHELF_MODEL_SEEDS"); s != "" { // "from runs", to search further
		if _, err := fmt.Sscan(s, &from, &runs); err != nil {
			t.Fatal(err)
		}
	}
	met := map[string]int{}
	for seed := from; seed < from+runs; seed++ {
		cfg := playConfig{dirs: seed%3 == 0, bias: seed%2 == 0, links: seed%4 == 1, restart: seed%5 == 0}
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runPlay(t, int64(seed), cfg, met) })
	}
	t.Log("steps at which there were:", met)
	for _, what := range []string{"merged directories", "cuts", "removed directories shown", "virtual copies", "displaced files", "twins", "hard links"} {
		if met[what] == 0 && !testing.Short() {
			t.Errorf("the plays never led to %s", what)
		}
	}
}

func runPlay(t testing.TB, seed int64, cfg playConfig, met map[string]int) []string {
	p := &play{t: t, met: met, rng: rand.New(rand.NewSource(seed)), cfg: cfg, next: 10, alive: map[int]string{}, gone: map[Dot]bool{}, old: map[int][][]byte{}}
	p.w = newWorld(t, seed, 2+p.rng.Intn(3))
	defer func() {
		if x := recover(); x != nil {
			p.fatalf("panic: %v\n%s", x, stack())
		}
	}()
	for _, d := range p.w.devices {
		d.skew = []time.Duration{0, 0, -50 * time.Millisecond, time.Hour, 20 * 365 * 24 * time.Hour}[p.rng.Intn(5)]
	}
	if cfg.dirs { // a common tree to fight over
		p.plant()
	}
	steps := 30 + p.rng.Intn(60)
	talk := 10 + p.rng.Intn(40)
	for range steps {
		p.w.now = p.w.now.Add(time.Duration(p.rng.Intn(3)) * time.Millisecond)
		if p.rng.Intn(12) == 0 {
			talk = p.rng.Intn(60)
		}
		i := p.rng.Intn(len(p.w.devices))
		switch x := p.rng.Intn(100); {
		case x < talk:
			p.deliver(i)
		case cfg.restart && x > 95:
			p.logf("dev%d restarts", i)
			p.w.devices[i].close()
			p.w.devices[i].open()
			checkView(t, p.w.devices[i].Replica)
		default:
			p.step(i)
		}
	}
	p.finish()
	return p.log
}

// TestModelRepeats: the same seed is the same history, or a failure could not be looked into.
func TestModelRepeats(t *testing.T) {
	var logs [2]string
	for i := range logs {
		logs[i] = strings.Join(runPlay(t, 7, playConfig{dirs: true, bias: true, links: true}, map[string]int{}), "\n")
	}
	if logs[0] != logs[1] {
		t.Errorf("%s\n--\n%s", logs[0], logs[1])
	}
}

// plant makes directories that everybody has.
func (p *play) plant() {
	r := p.w.devices[0].Replica
	dirs := []NodeID{Root}
	for i := range 6 {
		d := mkdir(p.t, r, dirs[p.rng.Intn(len(dirs))], fmt.Sprint("d", i))
		dirs = append(dirs, d.ID)
		p.next++
		mkfile(p.t, r, d.ID, "f", p.next)
		p.alive[p.next] = "planted"
	}
	p.w.heal()
}

// deliver lets one device pull from another, wholly or in part; sometimes old frames come again.
func (p *play) deliver(i int) {
	j := p.rng.Intn(len(p.w.devices))
	if i == j {
		return
	}
	dst, src := p.w.devices[i], p.w.devices[j]
	before := p.shown(dst)
	watcher := dst.Watch()
	defer watcher.Close()
	ctx := context.Background()
	d := must(src.Since(ctx, dst.Hello(src.id())))
	defer d.Close()
	d.page = 1 + p.rng.Intn(6)
	limit := -1
	if p.rng.Intn(2) == 0 {
		limit = p.rng.Intn(6)
	}
	p.logf("dev%d pulls from dev%d, limit %d", i, j, limit)
	n := 0
	for ; limit < 0 || n < limit; n++ {
		f, err := d.Next()
		if err != nil {
			break
		}
		if err := dst.Apply(ctx, src.id(), f); err != nil {
			p.fatalf("apply: %v", err)
		}
		p.old[i] = append(p.old[i], f)
	}
	if limit < 0 {
		must(dst.Complete(ctx, src.id(), d.End()))
	}
	if old := p.old[i]; len(old) > 0 && p.rng.Intn(3) == 0 {
		if err := dst.Apply(ctx, src.id(), old[p.rng.Intn(len(old))]); err != nil {
			p.fatalf("apply again: %v", err)
		}
	}
	after := p.shown(dst)
	p.checkNews(watcher, before, after)
}

func (p *play) shown(d *device) tree {
	p.t.Helper()
	defer func() {
		if p.t.Failed() {
			p.t.Log(strings.Join(p.log, "\n"))
		}
	}()
	v := checkView(p.t, d.Replica)
	s := d.state
	for what, n := range map[string]uint64{"merged directories": s.dirDups, "cuts": uint64(len(s.cuts)), "removed directories shown": s.zombies,
		"virtual copies": s.copies, "twins": uint64(v.shape.Twins), "hard links": s.links} {
		if n > 0 {
			p.met[what]++
		}
	}
	for _, e := range v.ids {
		if e.Conflict != nil && e.Conflict.Of.IsZero() {
			p.met["displaced files"]++
		}
	}
	return v
}

// step is one operation of a user on one device.
func (p *play) step(i int) {
	d := p.w.devices[i]
	before := p.shown(d)
	watcher := d.Watch()
	defer watcher.Close()
	u := &user{play: p, dev: i, r: d.Replica, v: before, targets: map[NodeID]bool{}}
	u.act()
	if u.op == "" {
		return
	}
	p.logf("dev%d: %s", i, u.op)
	after := p.shown(d)
	u.checkLocal(after)
	p.checkNews(watcher, before, after)
}

// checkNews: whatever shows differently now was told.
func (p *play) checkNews(w *Watcher, before, after tree) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	names := map[changeKey]Change{}
	content, attr := map[NodeID]bool{}, map[NodeID]bool{}
	if news, err := w.Next(ctx); err == nil {
		for _, c := range news {
			switch c.What {
			case NameChanged:
				names[c.key()] = c
			case ContentChanged:
				content[c.Node] = true
			case AttrChanged:
				attr[c.Node] = true
			}
		}
	}
	for dir, kids := range after.kids {
		was, there := before.kids[dir]
		if !there {
			continue // nobody can have looked into it
		}
		all := map[string]bool{}
		for n := range kids {
			all[n] = true
		}
		for n := range was {
			all[n] = true
		}
		for n := range all {
			if kids[n].ID != was[n].ID {
				if c, ok := names[changeKey{NameChanged, dir, n}]; !ok || c.Node != kids[n].ID {
					p.fatalf("nobody told that %q in %v is %v now and was %v: %+v", n, dir, kids[n].ID, was[n].ID, c)
				}
			}
		}
	}
	for id, e := range after.ids {
		was, there := before.ids[id]
		if !there || e.Kind == Dir {
			continue
		}
		if e.Content != was.Content && !content[id] {
			p.fatalf("nobody told that the content of %q (%v) changed", e.Name, id)
		}
		if (e.Mode != was.Mode || e.Mtime != was.Mtime || e.Nlink != was.Nlink) && !content[id] && !attr[id] {
			p.fatalf("nobody told that the attributes of %q (%v) changed", e.Name, id)
		}
	}
}

func (p *play) finish() {
	p.w.heal()
	first := p.shown(p.w.devices[0])
	for _, d := range p.w.devices[1:] {
		v := p.shown(d)
		if a, b := forget(first), forget(v); !reflect.DeepEqual(a, b) {
			for dir := range a.kids {
				if !reflect.DeepEqual(a.kids[dir], b.kids[dir]) {
					p.fatalf("replicas differ in %v:\n%s--\n%s", dir, dumpEntries(a.kids[dir]), dumpEntries(b.kids[dir]))
				}
			}
			p.fatalf("replicas differ: %d and %d directories", len(a.kids), len(b.kids))
		}
		if a, b := p.w.devices[0].Hello(ident.DeviceID{}), d.Hello(ident.DeviceID{}); a.Fingerprint != b.Fingerprint || !reflect.DeepEqual(a.Claims, b.Claims) || !a.Settled || !b.Settled {
			p.fatalf("after everything: hello %+v and %+v", a, b)
		}
	}
	visible := map[int]bool{}
	for _, kids := range first.kids {
		for _, e := range kids {
			visible[int(e.Content.Size)] = true
			if e.Kind == File && len(e.Versions) > 0 && !slices.ContainsFunc(e.Versions, func(d Dot) bool { return !p.gone[d] }) {
				p.fatalf("%q is shown though somebody saw and removed it: %+v", e.Name, e)
			}
		}
	}
	for c, how := range p.alive {
		if !visible[c] {
			p.fatalf("lost: content %d, %s, though nobody who saw it removed it", c, how)
		}
	}
	for _, a := range p.w.devices {
		for _, b := range p.w.devices {
			if a != b && pull(p.t, a, b, -1) != 0 {
				p.fatalf("records move though everybody has everything")
			}
		}
	}
}

// forget clears what replicas may see differently: times of directories.
func forget(v tree) tree {
	out := tree{kids: map[NodeID]map[string]Entry{}}
	for dir, kids := range v.kids {
		out.kids[dir] = map[string]Entry{}
		for n, e := range kids {
			if e.Kind == Dir {
				e.Mtime, e.Ctime, e.Atime = 0, 0, 0
			}
			out.kids[dir][n] = e
		}
	}
	return out
}

func isKind(err error, ks ...errs.Kind) bool { return slices.Contains(ks, errs.KindOf(err)) }
