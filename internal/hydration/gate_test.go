package hydration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// people is a Processes out of a table; it counts how often it is asked.
type people struct {
	of   map[uint32]Process
	args map[uint32][]string
	n    int
}

func (p *people) Look(pid uint32) (Process, bool) {
	p.n++
	q, ok := p.of[pid]
	return q, ok
}
func (p *people) Args(pid uint32) []string { return p.args[pid] }

func (p *people) add(pid, parent uint32, exe, name string, args ...string) uint32 {
	p.of[pid] = Process{PID: pid, Start: uint64(pid) * 10, Exe: exe, Name: name, Parent: parent}
	p.args[pid] = args
	return pid
}

// scene is a gate with its own clock, people and store.
type scene struct {
	*Gate
	t   *testing.T
	who *people
	now time.Time
	db  *kv.DB
}

func newScene(t *testing.T, cfg Config) *scene {
	t.Helper()
	s := &scene{t: t, who: &people{of: map[uint32]Process{}, args: map[uint32][]string{}}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	if s.db, err = kv.OpenMemory(kv.NewMemory()); err != nil {
		t.Fatal(err)
	}
	cfg.DB, cfg.Processes, cfg.Clock = s.db, s.who, func() time.Time { return s.now }
	s.open(cfg)
	t.Cleanup(func() {
		_ = s.Gate.Close()
		_ = s.db.Close()
	})
	return s
}

func (s *scene) open(cfg Config) {
	s.t.Helper()
	g, err := Open(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Gate = g
}

func node(i int) (id namespace.NodeID) {
	copy(id[:], fmt.Sprintf("%016d", i))
	return id
}

// ask has a process bring n bytes of a file.
func (s *scene) ask(pid uint32, file int, n int64) error { return s.asks(pid, file, n, false, nil) }

func (s *scene) asks(pid uint32, file int, n int64, ahead bool, outcome error) error {
	l, err := s.Admit(context.Background(), fs.Reader{PID: pid}, fs.Ask{Node: node(file), Blocks: 1, Bytes: n, Ahead: ahead})
	if err == nil {
		l.Done(outcome)
	}
	return err
}

func TestTheTable(t *testing.T) {
	s := newScene(t, Config{})
	s.who.add(1, 0, "systemd", "systemd")
	shell := s.who.add(2, 1, "bash", "bash")
	const (
		letIn   = iota // also what is read ahead
		exactly        // nothing ahead
		refused
	)
	for i, c := range []struct {
		exe, name string
		args      []string
		want      int
	}{
		{"updatedb.plocate", "updatedb", nil, refused},
		{"tracker-miner-fs-3", "tracker-miner-f", nil, refused},
		{"localsearch-3", "localsearch-3", nil, refused},
		{"baloo_file", "baloo_file", nil, refused},
		{"clamscan", "clamscan", nil, refused},
		{"python3.11", "borg", nil, refused},
		{"restic", "restic", nil, refused},
		{"perl", "rsnapshot", nil, refused},
		{"", "akonadi-indexing-agent"[:15], nil, refused},
		{"tumblerd", "tumblerd", nil, exactly},
		{"ffmpegthumbnailer", "ffmpegthumbnail", nil, exactly},
		{"nautilus", "nautilus", nil, exactly},
		{"Plex Media Server", "Plex Media Serv", nil, exactly},
		{"file", "file", nil, exactly},
		{"rg", "rg", []string{"rg", "x"}, exactly},
		{"grep", "grep", []string{"grep", "-rn", "x", "."}, exactly},
		{"grep", "grep", []string{"rgrep", "x"}, exactly},
		{"grep", "grep", []string{"grep", "--color=auto", "-d", "recurse", "x", "."}, exactly},
		{"grep", "grep", []string{"grep", "-e", "-r", "file"}, exactly}, // taken for a flag: it costs a read-ahead
		{"grep", "grep", []string{"grep", "-n", "--", "-r", "file"}, letIn},
		{"grep", "grep", []string{"grep", "-ir"}, exactly},
		{"grep", "grep", []string{"grep", "-er", "file"}, letIn},
		{"grep", "grep", []string{"grep", "x", "file"}, letIn},
		{"cat", "cat", nil, letIn},
		{"cp", "cp", nil, letIn},
		{"rsync", "rsync", nil, letIn},
		{"git", "git", nil, letIn},
		{"vlc", "vlc", nil, letIn},
		{"vim.basic", "vim", nil, letIn},
		{"catfish", "catfish", nil, letIn},
		{"grepper", "grepper", []string{"grepper", "-r"}, letIn},
		{"", "", nil, letIn},
	} {
		pid := s.who.add(uint32(100+i), shell, c.exe, c.name, c.args...)
		got := letIn
		if err := s.asks(pid, i, 100, true, nil); err != nil {
			got = exactly
		}
		if err := s.ask(pid, i, 100); errs.Is(err, errs.Withheld) {
			got = refused
		} else if err != nil {
			t.Error(err)
		}
		if got != c.want {
			t.Errorf("%q %q %q: %d, want %d", c.exe, c.name, c.args, got, c.want)
		}
	}
}

// What a refused program starts is refused, too, unless a rule is about it; and nothing else is.
func TestChildrenOfTheRefused(t *testing.T) {
	s := newScene(t, Config{})
	s.who.add(1, 0, "systemd", "systemd")
	backup := s.who.add(10, 1, "perl", "rsnapshot")
	sh := s.who.add(11, backup, "dash", "sh")
	tar := s.who.add(12, sh, "tar", "tar")
	gzip := s.who.add(13, sh, "gzip", "gzip")
	files := s.who.add(20, 1, "nautilus", "nautilus")
	player := s.who.add(21, files, "vlc", "vlc")
	for pid, want := range map[uint32]bool{backup: true, sh: true, gzip: true, tar: false, player: false} {
		if got := errs.Is(s.ask(pid, 1, 100), errs.Withheld); got != want {
			t.Errorf("%s refused: %v", s.who.of[pid].Name, got)
		}
	}
	if err := s.asks(player, 2, 100, true, nil); err != nil {
		t.Errorf("a player that the file manager started: %v", err)
	}
}

func TestWhoIsNotKnownIsLetIn(t *testing.T) {
	s := newScene(t, Config{Sweep: Refuse})
	for i := range 3 * sweepFiles {
		if err := s.ask(0, i, sweepBytes); err != nil {
			t.Fatal(err)
		}
		if err := s.ask(999, i, 1); err != nil { // ended since
			t.Fatal(err)
		}
	}
}

// A reader of many blocks is looked up once in a while, and soon seen to have become another program.
func TestAReaderIsLookedUpSeldom(t *testing.T) {
	s := newScene(t, Config{})
	pid := s.who.add(7, 1, "cat", "cat")
	for i := range 100 {
		if err := s.ask(pid, i, 1); err != nil {
			t.Fatal(err)
		}
	}
	if s.who.n != 1 {
		t.Errorf("looked up %d times", s.who.n)
	}
	s.who.add(7, 1, "updatedb", "updatedb") // exec
	s.now = s.now.Add(lookTime)
	if err := s.ask(pid, 1, 1); !errs.Is(err, errs.Withheld) {
		t.Errorf("%v", err)
	}
}

func TestBudget(t *testing.T) {
	s := newScene(t, Config{Rules: []Rule{{Program: "scan", Action: Budget, Bytes: 1000}}})
	one, two := s.who.add(7, 1, "scan", "scan"), s.who.add(8, 2, "scan", "scan")
	steps := []struct {
		pid     uint32
		bytes   int64
		after   time.Duration
		outcome error
		refused bool
	}{
		{one, 600, 0, nil, false},
		{two, 300, time.Minute, nil, false},                       // one budget for all of a name
		{one, 5000, 0, errs.E("x", errs.Offline, "", nil), false}, // what did not come is given back
		{one, 300, 0, nil, false},                                 // over it by a part of a block
		{two, 1, 0, nil, true},
		{one, 1, 58 * time.Minute, nil, true},
		{one, 900, 2 * time.Minute, nil, false}, // another hour
		{one, 200, 0, nil, false},
		{one, 1, 0, nil, true},
	}
	for i, st := range steps {
		s.now = s.now.Add(st.after)
		if err := s.asks(st.pid, 1, st.bytes, false, st.outcome); errs.Is(err, errs.Withheld) != st.refused {
			t.Errorf("step %d: %v", i, err)
		}
	}
}

// What a wait in vain answers for spends nothing.
func TestAWaitInVainSpendsNothing(t *testing.T) {
	s := newScene(t, Config{Rules: []Rule{{Program: "scan", Action: Budget, Bytes: 1000}}})
	pid := s.who.add(7, 1, "scan", "scan")
	_ = s.asks(pid, 1, 900, false, errs.E("fs", errs.Timeout, "", nil))
	for range 5 {
		if err := s.ask(pid, 1, 900); !errs.Is(err, errs.Timeout) {
			t.Errorf("%v", err)
		}
	}
	if err := s.ask(pid, 2, 900); err != nil {
		t.Error(err)
	}
}

// sweepThrough has a process bring n files of so many bytes, one each d.
func (s *scene) sweepThrough(pid func(i int) uint32, n int, bytes int64, d time.Duration) (refused int) {
	s.t.Helper()
	for i := range n {
		s.now = s.now.Add(d)
		if err := s.ask(pid(i), i, bytes); errs.Is(err, errs.Withheld) {
			refused++
		} else if err != nil {
			s.t.Fatal(err)
		}
	}
	return refused
}

func TestSweeps(t *testing.T) {
	const large = sweepBytes / sweepFiles
	for name, c := range map[string]struct {
		exe   string
		many  bool // each file by a process of its own, which one parent started
		files int
		bytes int64
		each  time.Duration
		want  bool
	}{
		"many large files at once":         {"nosy", false, sweepFiles, large, 100 * time.Millisecond, true},
		"one less":                         {"nosy", false, sweepFiles - 1, 2 * large, 100 * time.Millisecond, false},
		"many small files":                 {"nosy", false, 10 * sweepFiles, large / 100, 10 * time.Millisecond, false},
		"few large files":                  {"nosy", false, sweepFiles / 2, 100 * large, 100 * time.Millisecond, false},
		"slowly":                           {"nosy", false, 3 * sweepFiles, large, 2 * sweepTime / sweepFiles, false},
		"find -exec":                       {"cat", true, sweepFiles, large, 100 * time.Millisecond, true},
		"one who copies a folder":          {"cp", false, 3 * sweepFiles, large, 10 * time.Millisecond, false},
		"a file manager, which has a rule": {"nautilus", false, 3 * sweepFiles, large, 10 * time.Millisecond, false},
	} {
		s := newScene(t, Config{})
		finder := s.who.add(5, 1, "find", "find")
		for i := range c.files {
			s.who.add(uint32(100+i), finder, c.exe, c.exe)
		}
		refused := s.sweepThrough(func(i int) uint32 {
			if c.many {
				return uint32(100 + i)
			}
			return 100
		}, c.files, c.bytes, c.each)
		if got := len(s.Sweeps()) == 1; got != c.want || refused > 0 {
			t.Errorf("%s: %v, %d refused", name, s.Sweeps(), refused)
		}
	}
}

// What the owner says about sweeps holds from when one is found, for that program only.
func TestSweepsAreRefusedWhereTheOwnerSaysSo(t *testing.T) {
	s := newScene(t, Config{Sweep: Refuse})
	nosy, cp, other := s.who.add(7, 1, "nosy", "nosy"), s.who.add(8, 1, "cp", "cp"), s.who.add(9, 1, "other", "other")
	const large = 2 * sweepBytes / sweepFiles
	if n := s.sweepThrough(func(int) uint32 { return nosy }, 2*sweepFiles, large, time.Millisecond); n != sweepFiles {
		t.Errorf("%d refused", n)
	}
	if n := s.sweepThrough(func(int) uint32 { return cp }, 2*sweepFiles, large, time.Millisecond); n != 0 {
		t.Errorf("cp: %d refused", n)
	}
	if err := s.ask(other, 1, 1); err != nil {
		t.Error(err)
	}
	s.now = s.now.Add(restTime + time.Second) // it rested: another run
	if err := s.ask(nosy, 1, 1); err != nil {
		t.Error(err)
	}
}

func TestASweepIsToldForAWhile(t *testing.T) {
	s := newScene(t, Config{})
	nosy := s.who.add(7, 1, "nosy", "nosy")
	s.sweepThrough(func(int) uint32 { return nosy }, sweepFiles, sweepBytes, time.Millisecond)
	if got := s.Sweeps(); len(got) != 1 || got[0].Program != "nosy" || got[0].PID != nosy {
		t.Errorf("%+v", got)
	}
	s.now = s.now.Add(sweepTold)
	if got := s.Sweeps(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// A wait in vain is not made twice for the same file, and ends being remembered.
func TestAWaitInVain(t *testing.T) {
	s := newScene(t, Config{Rules: []Rule{{Program: "hasty", Action: Allow, Wait: time.Second}}})
	pid := s.who.add(7, 1, "hasty", "hasty")
	l, err := s.Admit(t.Context(), fs.Reader{PID: pid}, fs.Ask{Node: node(1), Blocks: 1, Bytes: 1})
	if err != nil || l.Wait != time.Second {
		t.Fatalf("%+v %v", l, err)
	}
	l.Done(errs.E("fs", errs.Timeout, "", context.DeadlineExceeded))
	if err := s.ask(pid, 1, 1); !errs.Is(err, errs.Timeout) {
		t.Errorf("again: %v", err)
	}
	if err := s.ask(pid, 2, 1); err != nil {
		t.Errorf("another file: %v", err)
	}
	if err := s.ask(s.who.add(8, 1, "hasty", "hasty"), 1, 1); err != nil {
		t.Errorf("another process: %v", err)
	}
	if r := s.Refused(node(1)); r == nil || !r.Late || r.Program != "hasty" {
		t.Errorf("%+v", r)
	}
	s.now = s.now.Add(vainTime)
	if err := s.ask(pid, 1, 1); err != nil {
		t.Errorf("later: %v", err)
	}
}

// What was refused is told for a day, of the last files only.
func TestRefusalsAreBounded(t *testing.T) {
	s := newScene(t, Config{})
	pid := s.who.add(7, 1, "updatedb", "updatedb")
	for i := range maxRefused + 10 {
		s.now = s.now.Add(time.Millisecond)
		_ = s.ask(pid, i, 1)
	}
	if s.Refused(node(9)) != nil || s.Refused(node(10)) == nil {
		t.Error("the oldest go first")
	}
	if r := s.Refused(node(500)); r == nil || r.Program != "updatedb" || !strings.Contains(r.Reason, "a file indexer") {
		t.Errorf("%+v", r)
	}
	s.now = s.now.Add(refusedTime)
	if s.Refused(node(500)) != nil {
		t.Error("after a day")
	}
}
