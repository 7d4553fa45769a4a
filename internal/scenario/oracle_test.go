//go:build linux

package scenario

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/config"
)

var (
	oracleSeed   = flag.Uint64("oracle.seed", 1, "first seed of the oracle")
	oracleRuns   = flag.Int("oracle.runs", 3, "runs of the oracle, each with a seed of its own")
	oracleRounds = flag.Int("oracle.rounds", 4, "rounds of a run: at work together, apart, or crashing")
	oracleTime   = flag.Duration("oracle.time", 0, "begin further runs for this long")
	oracleLog    = flag.Bool("oracle.log", false, "show all that was done, also where nothing failed")
)

// Two real mounts, clocks that may be off by years, random operations, random partitions (one is
// stopped, or the network is cut) and crashes: no value that was written ever vanishes, except by an
// overwrite or a delete on a device that showed it, nor comes back; whenever the two meet, they come
// to show exactly the same; and on who is alone an operation changes what it names, and nothing else.
// The oracle knows nothing of how that is done.
//
// A seed decides what is tried; what comes of it depends on the machine too. Longer:
//
//	go test ./internal/scenario -run TestOracle -timeout 0 -oracle.time 20m -oracle.rounds 8 -oracle.seed 1000
//
// The same with a program in which a merge rule is switched off: make sim-mutants ARGS='-oracle -only N14'.
func TestOracle(t *testing.T) {
	t.Parallel()
	began, total := time.Now(), map[string]int{}
	for i := 0; i < *oracleRuns || time.Since(began) < *oracleTime; i++ {
		seed := *oracleSeed + uint64(i)
		t.Run(fmt.Sprint("seed-", seed), func(t *testing.T) {
			o := newOracle(t, seed)
			defer func() {
				for what, n := range o.counts {
					total[what] += n
				}
			}()
			o.run()
		})
		if t.Failed() {
			break
		}
	}
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(total)) {
		lines = append(lines, fmt.Sprintf("%s %d", what, total[what]))
	}
	t.Log(strings.Join(lines, ", "))
	if total["values"] < total["runs"]*10 || total["gone by right"] == 0 {
		t.Error("so little was written or overwritten that this proves nothing")
	}
}

// oracle is one run.
type oracle struct {
	t      *testing.T
	rng    *rand.Rand
	d      [2]*site
	next   value
	writer map[value]*site
	safe   map[value]bool // fsynced, or seen on both: must not vanish in a crash
	lost   map[value]bool // written by a daemon that was killed before they were safe
	gone   map[value]bool // overwritten or removed where they showed
	counts map[string]int
	log    []string

	deed      deed
	few, deep int // names, and folders in each other

	cable   *cable // nil: the two can be parted only by stopping one
	apart   bool   // it is cut
	ended   map[value][]ended
	renamed map[value][]*site
	dead    map[value]int // at so many meetings both had forgotten it
}

// site is a device and what the test holds open on it.
type site struct {
	*device
	on   bool
	dies bool // is about to be killed
	held []*handle
	pid  int
}

func newOracle(t *testing.T, seed uint64) *oracle {
	o := &oracle{t: t, rng: rand.New(rand.NewPCG(seed, 0)), writer: map[value]*site{}, safe: map[value]bool{}, lost: map[value]bool{},
		gone: map[value]bool{}, dead: map[value]int{}, counts: map[string]int{"runs": 1}}
	o.few, o.deep = 1+o.rng.IntN(5), o.rng.IntN(4)-1
	program, err := oracleProgram()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() || *oracleLog {
			t.Logf("what was done:\n%s", strings.Join(o.log, "\n"))
		}
	})
	if o.cable, err = newCable(t); err != nil {
		t.Log("the network cannot be cut here:", err)
	}
	for i, name := range []string{"a", "b"} {
		o.d[i] = &site{device: newDevice(t, name)}
		o.d[i].program = program
		o.d[i].env = []string{envSkew + "=" + []string{"0", "1h", "-50ms", "175200h", "-175200h"}[o.rng.IntN(5)]} // some by twenty years
		if o.cable != nil {
			o.d[i].prefix = append([]string{"nsenter"}, o.cable.enter(i)...)
		}
	}
	t.Cleanup(func() { o.d[0].letGo(); o.d[1].letGo() })
	o.d[0].up()
	o.d[0].admit(o.d[1].device)
	o.d[1].up()
	for _, s := range o.d {
		s.on, s.pid = true, s.status().Daemon.PID
		if o.rng.IntN(2) == 0 {
			s.must("pin", s.mnt)
		}
	}
	return o
}

func (o *oracle) note(format string, args ...any) {
	o.log = append(o.log, fmt.Sprintf("%s  %s", time.Now().Format("05.000"), fmt.Sprintf(format, args...)))
}

func (o *oracle) run() {
	defer func() {
		o.counts["values"], o.counts["gone by right"], o.counts["lost in crashes"] = int(o.next), len(o.gone), len(o.lost)
	}()
	for range *oracleRounds {
		kind := o.rng.IntN(20)
		if o.cable == nil && kind > 7 {
			kind = 2
		}
		switch first, second := o.pick(); kind {
		case 0, 1: // both, at once
			o.work(10+o.rng.IntN(20), first, second)
		case 2, 3, 4, 5: // one after the other, neither sees the other
			o.down(second)
			o.work(3+o.rng.IntN(12), first)
			o.swap(first, second)
			o.work(3+o.rng.IntN(12), second)
		case 6: // one crashes amid it, and comes back when the other has gone on alone
			o.crash(first, first, second)
			o.work(3+o.rng.IntN(8), second)
			if o.rng.IntN(2) == 0 {
				o.swap(second, first)
				o.work(3+o.rng.IntN(8), first)
			}
		case 7: // one crashes while it is alone
			o.down(second)
			o.crash(first, first)
			o.up(first)
			o.work(3+o.rng.IntN(8), first)
		default: // both, and neither hears the other
			o.separate()
			o.work(10+o.rng.IntN(20), first, second)
			o.reunite()
		}
		for _, s := range o.d {
			if !s.on {
				o.up(s)
			}
		}
		if o.rng.IntN(2) == 0 {
			o.meet()
		}
	}
	o.meet()
}

// pick returns the two devices in any order.
func (o *oracle) pick() (*site, *site) {
	i := o.rng.IntN(2)
	return o.d[i], o.d[1-i]
}

func (o *oracle) other(s *site) *site {
	if s == o.d[0] {
		return o.d[1]
	}
	return o.d[0]
}

// work does n operations, each on one of these devices.
func (o *oracle) work(n int, on ...*site) {
	for range n {
		o.operate(on[o.rng.IntN(len(on))])
		if o.rng.IntN(8) == 0 {
			time.Sleep(time.Duration(o.rng.IntN(40)) * time.Millisecond)
		}
	}
	o.counts["operations"] += n
}

func (o *oracle) down(s *site) {
	o.t.Helper()
	s.letGo()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		out, code := s.try("down")
		if code == 0 {
			break
		}
		if code != 6 || time.Now().After(end) {
			o.t.Fatalf("%s: down: exit %d\n%s", s.name, code, out)
		}
		// It holds what it cannot save without bytes that only the other device has.
		o.note("%s  does not go down before the other is there: %s", s.name, out)
		if x := o.other(s); !x.on {
			o.up(x)
			o.counts["waited for the other"]++
		}
	}
	s.on = false
	o.settle(s)
	o.note("%s  down", s.name)
	o.counts["partitions"]++
}

// swap takes one away and brings the other back.
func (o *oracle) swap(from, to *site) {
	o.t.Helper()
	o.down(from)
	if !to.on {
		o.up(to)
	}
}

func (o *oracle) up(s *site) {
	o.t.Helper()
	s.device.up()
	s.on, s.pid = true, s.status().Daemon.PID
	o.note("%s  up", s.name)
}

// crash kills a daemon while the devices work. What it wrote and had not yet promised may be lost.
func (o *oracle) crash(s *site, on ...*site) {
	o.t.Helper()
	at := time.Duration(o.rng.IntN(150)) * time.Millisecond
	killed := make(chan struct{})
	s.dies = true
	timer := time.AfterFunc(at, func() { _ = syscall.Kill(s.pid, syscall.SIGKILL); close(killed) })
	for i := 0; ; i++ {
		o.operate(on[o.rng.IntN(len(on))])
		select {
		case <-killed:
		default:
			continue
		}
		o.counts["operations"] += i + 1
		break
	}
	timer.Stop()
	eventually(o.t, 10*time.Second, "the killed daemon is gone", func() bool { _, locked := config.Home(s.home).Locked(); return !locked })
	s.letGo()
	s.on, s.dies = false, false
	o.forsake(s)
	o.note("%s  killed", s.name)
	o.counts["crashes"]++
}

// forsake says that what a device has written and not promised may be lost.
func (o *oracle) forsake(s *site) {
	for v, by := range o.writer {
		if by == s && !o.safe[v] {
			o.lost[v] = true
		}
	}
}

// settle says that all that a device has written so far will survive.
func (o *oracle) settle(s *site) {
	for v, by := range o.writer {
		if by == s && !o.lost[v] {
			o.safe[v] = true
		}
	}
}

// meet waits until both mounts show the same, and judges it.
func (o *oracle) meet() {
	o.t.Helper()
	for _, s := range o.d {
		s.letGo()
		if !s.on {
			o.up(s)
		}
	}
	o.note("they meet")
	var s [2]shown
	var errs [2]error
	same := func() bool {
		for i := range s {
			if s[i], errs[i] = look(o.d[i].mnt); errs[i] != nil {
				return false
			}
		}
		return s[0].tree == s[1].tree
	}
	// Both may show the same and be on the way to something else, and what could not be saved
	// for want of the other device is tried again only now and then: what seems gone gets time.
	agreed, gone, patience := 0, []value(nil), time.Now().Add(20*time.Second)
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !same() {
			agreed = 0
			continue
		}
		if gone = o.missing(s[0]); agreed >= 1 && (len(gone) == 0 || time.Now().After(patience)) {
			break
		}
		agreed++
	}
	if agreed == 0 {
		o.t.Fatalf("they do not come to show the same: %v\n%s\n--\n%s", errs, s[0].tree, s[1].tree)
	}
	if len(gone) > 0 {
		for _, v := range gone {
			o.t.Errorf("%s, written by %s, is gone", v.target(), o.writer[v].name)
		}
		o.t.Fatalf("both show\n%s", s[0].tree)
	}
	if len(s[0].torn) > 0 {
		o.counts["torn"] += len(s[0].torn)
		o.note("torn: %v", s[0].torn)
	}
	o.buried(s[0])
	for v := range s[0].values {
		o.safe[v] = true
		delete(o.lost, v)
	}
	o.counts["meetings"]++
	o.counts["conflict copies"] += strings.Count(s[0].tree, "(conflict from ")
}

// missing lists what must be shown and is not.
func (o *oracle) missing(s shown) (out []value) {
	for v := range o.writer {
		if !s.values[v] && !o.gone[v] && !o.lost[v] {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}
