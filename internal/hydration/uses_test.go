package hydration

import (
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/namespace"
)

// counted is a scene that counts uses. Its ticker never runs: settle is called.
type counted struct {
	*scene
	uses *Uses
	got  []namespace.NodeID
}

func newCounted(t *testing.T, cfg Config) *counted {
	t.Helper()
	c := &counted{scene: newScene(t, cfg)}
	c.uses = c.Gate.Uses(func(ns ...namespace.NodeID) { c.got = append(c.got, ns...) })
	c.uses.stop()
	c.uses.wg.Wait()
	return c
}

func (c *counted) use(pid uint32, file int) { c.uses.Used(fs.Reader{PID: pid}, node(file)) }

// settled lets so much time pass, and returns what counted.
func (c *counted) settled(d time.Duration) (got []namespace.NodeID) {
	c.now = c.now.Add(d)
	c.uses.settle(c.now.Add(-useHold))
	got, c.got = c.got, nil
	return got
}

// What people's programs use counts; what indexers, backups, previews, searches and copying programs use
// does not, unless the owner says of one that it is let in.
func TestOnlyPeopleMakeHeat(t *testing.T) {
	c := newCounted(t, Config{Rules: []Rule{{Program: "borg", Action: Allow}, {Program: "player", Action: Exact}}})
	c.who.add(1, 0, "systemd", "systemd")
	shell := c.who.add(2, 1, "bash", "bash")
	for i, name := range []string{"updatedb", "tracker-miner-fs", "restic", "clamscan", "tumblerd", "nautilus", "rg", "cp", "rsync", "git", "player"} {
		c.use(c.who.add(uint32(10+i), shell, name, name), i)
	}
	helper := c.who.add(50, 10, "cat", "cat") // that updatedb started
	c.use(helper, 50)
	if got := c.settled(useHold); len(got) != 0 {
		t.Errorf("counted %d uses that are no person's", len(got))
	}
	for i, name := range []string{"soffice.bin", "vim", "borg", "cat"} {
		c.use(c.who.add(uint32(60+i), shell, name, name), 60+i)
	}
	c.use(0, 70)   // whom the system does not tell
	c.use(999, 71) // who has gone already
	want := []namespace.NodeID{node(60), node(61), node(62), node(63), node(70), node(71)}
	if got := c.settled(useHold); !slices.Equal(got, want) {
		t.Errorf("counted %d uses, want %d", len(got), len(want))
	}
}

// A program that goes through very many files makes no heat, also by those that it used before that was seen; nor
// while it goes on. Slowly, or in few files, it is somebody's work.
func TestSweepsMakeNoHeat(t *testing.T) {
	c := newCounted(t, Config{})
	shell := c.who.add(2, 1, "bash", "bash")
	sweeper, vim := c.who.add(7, shell, "python3", "python3"), c.who.add(8, shell, "vim", "vim")
	c.use(vim, 1000)
	for i := range 3 * useSweep {
		c.use(sweeper, i)
		c.now = c.now.Add(10 * time.Millisecond)
	}
	if got := c.settled(useHold); len(got) != 1 || got[0] != node(1000) {
		t.Errorf("counted %d uses of a sweep", len(got))
	}
	for i := range 30 { // it goes on
		c.use(sweeper, 500+i)
		if got := c.settled(useHold); len(got) != 0 {
			t.Fatal("counted while it goes on")
		}
	}
	c.now = c.now.Add(sweepTime)
	c.use(sweeper, 600)
	if got := c.settled(useHold); len(got) != 1 {
		t.Error("it rested, and is still taken to sweep")
	}
	slow := c.who.add(9, shell, "editor", "editor")
	n := 0
	for i := range 3 * useSweep {
		c.use(slow, 2000+i)
		n += len(c.settled(2 * sweepTime / useSweep))
	}
	if n += len(c.settled(useHold)); n != 3*useSweep {
		t.Errorf("counted %d of %d slow uses", n, 3*useSweep)
	}
	// find -exec cat: many processes, one run.
	find := c.who.add(100, shell, "find", "find")
	for i := range 2 * useSweep {
		c.use(c.who.add(uint32(200+i), find, "cat", "cat"), 5000+i)
	}
	if got := c.settled(useHold); len(got) != 0 {
		t.Errorf("counted %d uses of find -exec", len(got))
	}
}

// A file that is used all the time counts once in a while, and costs no look at its program; a clock that was
// set back does not stop it.
func TestOneUseInAWhile(t *testing.T) {
	c := newCounted(t, Config{})
	cc := c.who.add(7, 1, "cc1", "cc1")
	for range 100 {
		c.use(cc, 1)
	}
	looks := c.who.n
	n := len(c.settled(useHold))
	for range 59 {
		c.use(cc, 1)
		n += len(c.settled(time.Minute))
	}
	if n != 6 {
		t.Errorf("counted %d uses in an hour", n)
	}
	if c.who.n > looks+12 {
		t.Errorf("looked at the program %d times", c.who.n)
	}
	c.now = c.now.Add(-100 * 24 * time.Hour)
	c.use(cc, 1)
	if len(c.settled(useHold)) != 1 {
		t.Error("not counted after the clock was set back")
	}
	c.use(cc, 2)
	c.now = c.now.Add(-time.Hour)
	if len(c.settled(useHold)) != 1 {
		t.Error("held for ever after the clock was set back")
	}
}

func TestUsesAreBounded(t *testing.T) {
	c := newCounted(t, Config{})
	for i := range 3 * maxUses {
		c.use(0, i)
	}
	if n := len(c.settled(useHold)); n != maxUses {
		t.Errorf("held %d", n)
	}
	for i := range 3 * maxUses {
		c.use(0, i)
		if i%1000 == 0 {
			c.settled(useHold)
		}
	}
	c.settled(useGap)
	c.settled(useGap)
	if n := len(c.uses.last); n > maxUses {
		t.Errorf("%d files are remembered", n)
	}
}

// What this device brings on its own is in the ledger under the reason, one run until it rests.
func TestTheLedgerHasWhatHeatBrings(t *testing.T) {
	s := newScene(t, Config{})
	s.Ledger().Brought("shelf heat", node(1), 5)
	s.Ledger().Brought("shelf hand-off", node(2), 7)
	s.now = s.now.Add(time.Minute)
	s.Ledger().Brought("shelf heat", node(1), 6)
	s.now = s.now.Add(restTime + time.Second)
	s.Ledger().Brought("shelf heat", node(1), 8)
	es := s.entries()
	if len(es) != 3 || es[0].Ahead != 11 || es[0].Program != "shelf heat" || es[1].Ahead != 7 || es[1].Program != "shelf hand-off" || es[2].Ahead != 8 ||
		es[0].Run == es[1].Run || es[0].Run == es[2].Run {
		t.Errorf("%+v", es)
	}
}
