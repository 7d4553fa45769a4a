package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// troupe is three devices of one account on some stage.
type troupe interface {
	// there lets exactly those reach each other, and waits until they do; nil: nobody is there.
	there(who ...int)
	// alone lets one be there without the others.
	alone(who int)
	// moment brings two together for a moment only, then nobody is there.
	moment(a, b int)
	// meet lets those who are there tell each other everything, as far as they do not by themselves.
	meet(who ...int)
	year()           // passes
	backUp(who int)  // keeps a device's disk as it is
	putBack(who int) // and gives it that one again
	player(who int, dir string) *player
	beside(who int) (map[string]bool, error) // paths of what is listed as conflict beside a name
	check() error                            // of what only this stage can see
	patience() time.Duration                 // to wait for what devices show
}

// show is all plays of an evening, performed at once by one troupe, each in a folder of its own: so
// starting devices costs the same for all, and none may disturb another.
type show struct {
	tr    troupe
	plays []*performance
	began time.Time
	lists []map[string]bool // what each device lists as conflicts
	logf  func(string, ...any)
}

// performance is one play under way.
type performance struct {
	*piece
	dir    string
	parts  []part
	roots  []string // names beside the folders of plays
	failed string
	final  []string // what all show in the end
}

// part is what lies between two scenes in which all are together.
type part []scene

// programme is how the times apart go, where any play needs more than being apart once. A play takes
// what it needs of it, in one piece; what comes after it makes no difference to a play.
var programme = []string{"apart", "a meets b, cut short", "apart", "b meets c", "apart", "a meets b", "apart", "a meets b", "apart", "b meets c", "apart"}

// evenings sorts plays into those that can be performed together. Those in which disks are put back, all
// the same at the same time, are for themselves: what a disk has lost it has lost of all plays.
func evenings(all []*piece) (out [][]*piece) {
	var ordinary, restored []*piece
	for _, p := range all {
		if p.restored {
			restored = append(restored, p)
		} else {
			ordinary = append(ordinary, p)
		}
	}
	return slices.DeleteFunc([][]*piece{ordinary, restored}, func(x []*piece) bool { return len(x) == 0 })
}

func perform(tr troupe, logf func(string, ...any), plays ...*piece) []*performance {
	s := &show{tr: tr, began: time.Now(), lists: make([]map[string]bool, len(cast)), logf: logf}
	for _, p := range plays {
		x := &performance{piece: p, dir: "/" + p.name}
		for _, sc := range p.scenes {
			if n := len(x.parts); n == 0 || sc.kind == "together" || x.parts[n-1][0].kind == "together" {
				x.parts = append(x.parts, nil)
			}
			x.parts[len(x.parts)-1] = append(x.parts[len(x.parts)-1], sc)
		}
		x.roots = rootNames(p.text)
		s.plays = append(s.plays, x)
	}
	s.run()
	return s.plays
}

// rootNames finds the names beside the folders of plays that a script speaks of.
func rootNames(text string) (out []string) {
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimLeft(line, " ")
		if strings.HasPrefix(line, "#") {
			continue
		}
		for i, w := range strings.Fields(line) {
			if strings.HasPrefix(w, "/") && len(w) > 1 && (i > 0 || strings.HasSuffix(w, "/")) {
				name, _, _ := strings.Cut(w[1:], "/")
				if !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
		}
	}
	return out
}

func (s *show) run() {
	s.tr.there(0, 1, 2)
	for _, p := range s.plays {
		if err := s.tr.player(0, "/").Mkdir(p.dir, 0o755); err != nil {
			p.failed = err.Error()
		}
	}
	s.alike([]int{0, 1, 2}, s.plays)
	for at := 0; ; at++ {
		var now []*performance
		for _, p := range s.plays {
			if at < len(p.parts) {
				now = append(now, p)
			}
		}
		if len(now) == 0 {
			break
		}
		if at%2 == 0 {
			s.together(at, now)
		} else {
			s.apart(at, now)
		}
	}
	s.log("in the end, nobody has disturbed anybody")
	s.tr.there(0, 1, 2)
	ends := map[*performance]step{}
	for _, p := range s.plays {
		ends[p] = step{line: strings.Count(p.text, "\n"), want: &p.final}
	}
	s.shown([]int{0, 1, 2}, ends)
	s.log("done")
}

func (s *show) log(format string, args ...any) {
	s.logf("%6.2f s  %s", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// together plays the scenes in which all are there.
func (s *show) together(at int, now []*performance) {
	s.log("together")
	s.tr.there(0, 1, 2)
	scenes := map[*performance]scene{}
	for _, p := range now {
		scenes[p] = p.parts[at][0]
	}
	s.steps([]int{0, 1, 2}, scenes)
}

// steps plays scenes in which some are together, step by step. Before anybody acts, and before they
// part, they show the same.
func (s *show) steps(with []int, scenes map[*performance]scene) {
	unlike := s.plays // of whom it is not known that all show the same
	for j, more := 0, true; more; j++ {
		more = false
		var wait, acting []*performance
		shows := map[*performance]step{}
		for _, p := range s.plays {
			sc, ok := scenes[p]
			switch {
			case !ok:
			case j >= len(sc.steps) && slices.Contains(unlike, p):
				wait = append(wait, p)
			case j >= len(sc.steps):
			case sc.steps[j].want != nil:
				shows[p] = sc.steps[j]
			default:
				acting = append(acting, p)
				if slices.Contains(unlike, p) {
					wait = append(wait, p)
				}
			}
			more = more || ok && j < len(sc.steps)
		}
		s.alike(with, wait)
		s.shown(with, shows)
		for _, p := range acting {
			s.acts(p, scenes[p].steps[j])
		}
		unlike = slices.DeleteFunc(slices.Clone(unlike), func(p *performance) bool { return shows[p].want != nil || slices.Contains(wait, p) })
		unlike = append(unlike, acting...)
	}
}

// apart plays what lies between two scenes together.
func (s *show) apart(at int, now []*performance) {
	kinds := []string{"apart"}
	for _, p := range now {
		switch {
		case p.restored:
			kinds = kindsOf(p.parts[at])
		case len(p.parts[at]) > 1:
			kinds = programme
		}
	}
	from := map[*performance]int{}
	for _, p := range now {
		from[p] = embed(p.parts[at], kinds)
		if from[p] < 0 && p.failed == "" {
			p.failed = "its meetings are not in the programme"
		}
	}
	for i, kind := range kinds {
		scenes := map[*performance]scene{}
		var with []int
		cut, year := false, false
		for _, p := range now {
			if j := i - from[p]; j >= 0 && j < len(p.parts[at]) && from[p] >= 0 {
				sc := p.parts[at][j]
				scenes[p], with, cut, year = sc, sc.with, sc.cut, year || sc.year
			}
		}
		switch {
		case len(scenes) == 0:
			continue // nobody needs it
		case kind == "apart":
			s.log("apart")
			s.alones(scenes)
		case strings.HasSuffix(kind, " backs up"):
			s.log("%s", kind)
			s.tr.backUp(with[0])
		case strings.HasSuffix(kind, " is put back"):
			s.log("%s", kind)
			s.tr.putBack(with[0])
		case cut:
			s.log("%s", kind)
			s.tr.moment(with[0], with[1])
		default:
			s.log("%s", kind)
			s.tr.there(with...)
			s.steps(with, scenes)
		}
		if year {
			s.tr.year()
		}
	}
}

func kindsOf(scenes part) (out []string) {
	for _, s := range scenes {
		out = append(out, s.kind)
	}
	return out
}

// embed finds where in the programme a play's scenes are, -1 if nowhere.
func embed(scenes part, kinds []string) int {
	for i := 0; i+len(scenes) <= len(kinds); i++ {
		if slices.Equal(kindsOf(scenes), kinds[i:i+len(scenes)]) {
			return i
		}
	}
	return -1
}

// alones plays the part of each device by itself, one after the other.
func (s *show) alones(scenes map[*performance]scene) {
	for who := range cast {
		began := false
		for _, p := range s.plays {
			for _, st := range scenes[p].steps {
				if st.who != who {
					continue
				}
				if !began {
					began = true
					s.tr.alone(who)
				}
				if st.want != nil {
					s.shown([]int{who}, map[*performance]step{p: st})
				} else {
					s.acts(p, st)
				}
			}
		}
	}
}

func (s *show) acts(p *performance, st step) {
	if p.failed != "" {
		return
	}
	for _, a := range st.acts {
		if err := s.tr.player(st.who, p.dir).do(a); err != nil {
			p.fail(a.line, "%s: %v", cast[st.who], err)
			return
		}
	}
}

// fail ends a play; the others go on.
func (p *performance) fail(line int, format string, args ...any) {
	if p.failed != "" {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", fmt.Sprintf(format, args...))
	for i, l := range strings.Split(strings.TrimRight(p.text, "\n"), "\n") {
		mark := "   "
		if i == line {
			mark = "-> "
		}
		b.WriteString(mark + l + "\n")
	}
	p.failed = b.String()
}

// alike waits until those who are there show the same in some plays.
func (s *show) alike(who []int, plays []*performance) {
	if len(plays) == 0 {
		return
	}
	s.meet(who)
	open := map[*performance]string{}
	for _, p := range plays {
		open[p] = ""
	}
	s.wait(who, open, func(p *performance) string {
		shows, same := s.look(p, who, len(who) == len(cast)) // contents may be with who is away
		if same {
			return ""
		}
		return "they do not come to show the same\n" + shows
	})
	for p, why := range open {
		if why != "" {
			p.fail(-1, "%s", why)
		}
	}
}

// meet brings those who are there together.
func (s *show) meet(who []int) {
	s.tr.meet(who...)
	if err := s.tr.check(); err != nil {
		for _, p := range s.plays {
			p.fail(-1, "%v", err)
		}
	}
}

// shown waits until those who are there show what the scripts say.
func (s *show) shown(who []int, steps map[*performance]step) {
	if len(steps) == 0 {
		return
	}
	s.meet(who)
	open := map[*performance]string{}
	for p := range steps {
		open[p] = ""
	}
	s.wait(who, open, func(p *performance) string {
		st := steps[p]
		p.final = *st.want
		for _, w := range who {
			got, err := s.lookAt(p, w, true)
			if err != nil || !slices.Equal(got, *st.want) {
				shows, _ := s.look(p, who, true)
				return "not what they are to show\n" + shows
			}
		}
		return ""
	})
	for p, why := range open {
		if why != "" {
			p.fail(steps[p].line, "%s", why)
		}
	}
}

// wait asks again and again until nothing is open, or patience ends. It leaves in open why.
func (s *show) wait(who []int, open map[*performance]string, ask func(p *performance) string) {
	end := time.Now().Add(s.tr.patience())
	for len(open) > 0 {
		for _, w := range who {
			list, err := s.tr.beside(w)
			if err != nil {
				s.log("%s lists no conflicts: %v", cast[w], err)
			}
			s.lists[w] = list
		}
		for p := range open {
			if p.failed == "" {
				open[p] = ask(p)
			}
			if p.failed != "" || open[p] == "" {
				delete(open, p)
			}
		}
		if len(open) == 0 || time.Now().After(end) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// look describes what devices show, and tells whether it is the same.
func (s *show) look(p *performance, who []int, bytes bool) (text string, same bool) {
	var b strings.Builder
	var first []string
	same = true
	for i, w := range who {
		lines, err := s.lookAt(p, w, bytes)
		if i == 0 {
			first = lines
		}
		same = same && err == nil && slices.Equal(lines, first)
		fmt.Fprintf(&b, "%s shows\n", cast[w])
		if err != nil {
			fmt.Fprintf(&b, "    %v\n", err)
		}
		for _, l := range lines {
			fmt.Fprintf(&b, "    %s\n", l)
		}
	}
	return b.String(), same
}

func (s *show) lookAt(p *performance, who int, bytes bool) ([]string, error) {
	return s.tr.player(who, p.dir).look(p.roots, s.lists[who], bytes)
}

// report tells of each play as a test of its own.
func report(t *testing.T, all []*performance) {
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			if p.failed != "" {
				t.Errorf("%s: %s\n%s", p.at, p.title, p.failed)
			}
		})
	}
}
