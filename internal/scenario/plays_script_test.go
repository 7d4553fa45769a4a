package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A piece is the script of one play: what up to three devices do, together and apart, and what they show then.
// The plays stand in testdata/plays, and are read like this:
//
//	PLAY edit-edit: the newer edit has the name, the other stands beside it
//	  a write plan.txt old
//	apart
//	  a write plan.txt "by a"
//	  b write plan.txt "by b"
//	together
//	  show
//	    plan.txt = by b
//	    plan (from a).txt = by a [conflict]
//
// Scenes: at first all are together; "apart", each is alone, a before b before c; "a meets b", the
// third is away ("a meets b, cut short": only a part of what they have to say is said); "together".
// Indented under a scene: who does what (see acts), and what all who are there show, "a shows" only a.
// What is shown is everything: see look. Where a clock is off, "clock a +2y" stands before the first
// scene; ", a year passes" behind one in which it does. "c backs up" keeps the disk of c as it is, "c is
// put back" gives it that disk again; it has not forgotten what the others know of it, they have not.
type piece struct {
	name, title string
	text        string // as it stands in the file
	at          string // FILE:LINE
	clocks      [3]time.Duration
	clocked     bool
	restored    bool // a disk is put back
	scenes      []scene
}

type scene struct {
	kind  string // "together", "apart", "a meets b", …
	with  []int  // who can reach each other; nobody when apart
	cut   bool
	year  bool
	steps []step
}

// disk says what becomes of a disk.
func (s *scene) disk() string {
	if _, what, _ := strings.Cut(s.kind, " "); what == "backs up" || what == "is put back" {
		return what
	}
	return ""
}

// step is either what one device does, or what is shown.
type step struct {
	line int // in the text of the script
	who  int // of acts, and of "a shows"; -1: all who are there
	acts []act
	want *[]string // what is shown, sorted
}

// act is one operation of a user.
type act struct {
	line  int
	verb  string
	args  []string
	fails string // the errno that it has to fail with
}

// cast are the devices of a play.
var cast = []string{"a", "b", "c"}

// scripts reads all plays that the -plays expression matches.
func scripts(t *testing.T) (all []*piece) {
	t.Helper()
	files, err := filepath.Glob("testdata/plays/*.play")
	if err != nil || len(files) == 0 {
		t.Fatalf("no plays: %v", err)
	}
	only := regexp.MustCompile(*playsOnly)
	names := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		list, err := parseScripts(filepath.Base(f), string(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if names[s.name] {
				t.Fatalf("%s: there are two plays %s", s.at, s.name)
			}
			names[s.name] = true
			if only.MatchString(s.name) {
				all = append(all, s)
			}
		}
	}
	return all
}

func parseScripts(file, text string) (all []*piece, err error) {
	var s *piece
	for i, line := range strings.Split(text, "\n") {
		if rest, ok := strings.CutPrefix(line, "PLAY "); ok {
			name, title, _ := strings.Cut(rest, ": ")
			s = &piece{name: name, title: title, at: fmt.Sprintf("%s:%d", file, i+1)}
			all = append(all, s)
		}
		if s == nil {
			continue
		}
		if err := s.parse(line, strings.Count(s.text, "\n")); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
		s.text += line + "\n"
	}
	for _, s := range all {
		s.text = strings.TrimRight(s.text, "\n") + "\n"
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", s.at, err)
		}
	}
	return all, nil
}

// parse takes one line. Its indentation says whether it is a scene, a step, or something shown.
func (s *piece) parse(line string, number int) error {
	words := strings.TrimLeft(line, " ")
	depth := len(line) - len(words)
	if words == "" || words[0] == '#' {
		return nil
	}
	switch {
	case number == 0:
		s.scenes = []scene{{kind: "together", with: []int{0, 1, 2}}}
		return nil
	case depth == 0:
		return s.parseScene(words)
	case depth < 4:
		return s.parseStep(words, number)
	}
	now := &s.scenes[len(s.scenes)-1]
	if len(now.steps) == 0 || now.steps[len(now.steps)-1].want == nil {
		return fmt.Errorf("nobody shows anything yet")
	}
	want := now.steps[len(now.steps)-1].want
	*want = append(*want, words)
	slices.Sort(*want)
	return nil
}

func (s *piece) parseScene(words string) error {
	if rest, ok := strings.CutPrefix(words, "clock "); ok {
		return s.parseClock(strings.Fields(rest))
	}
	kind, year := strings.CutSuffix(words, ", a year passes")
	who, cut := strings.CutSuffix(kind, ", cut short")
	sc := scene{kind: kind, cut: cut, year: year}
	if disk := slices.Index(cast, words[:1]); strings.HasSuffix(words, " backs up") || strings.HasSuffix(words, " is put back") {
		s.restored = true
		s.scenes = append(s.scenes, scene{kind: words, with: []int{disk}})
		return nil
	}
	switch who {
	case "apart":
	case "together":
		sc.with = []int{0, 1, 2}
	case "a meets b", "a meets c", "b meets c":
		sc.with = []int{slices.Index(cast, who[:1]), slices.Index(cast, who[len(who)-1:])}
	default:
		return fmt.Errorf("no such scene: %q", words)
	}
	s.scenes = append(s.scenes, sc)
	return nil
}

func (s *piece) parseClock(w []string) error {
	if len(w) != 2 || !slices.Contains(cast, w[0]) {
		return fmt.Errorf("clock DEVICE OFF")
	}
	n, err := strconv.Atoi(w[1][:len(w[1])-1])
	unit, ok := map[byte]time.Duration{'y': year, 'd': 24 * time.Hour, 's': time.Second}[w[1][len(w[1])-1]]
	if err != nil || !ok {
		return fmt.Errorf("by how much is a clock off? %q", w[1])
	}
	s.clocks[slices.Index(cast, w[0])] = time.Duration(n) * unit
	s.clocked = true
	return nil
}

const year = 365 * 24 * time.Hour

func (s *piece) parseStep(words string, number int) error {
	sc := &s.scenes[len(s.scenes)-1]
	w, err := quotedWords(words)
	if err != nil {
		return err
	}
	if w[0] == "show" {
		sc.steps = append(sc.steps, step{line: number, who: -1, want: &[]string{}})
		return nil
	}
	who := slices.Index(cast, w[0])
	if who < 0 || len(w) < 2 {
		return fmt.Errorf("who? %q", words)
	}
	if w[1] == "shows" {
		sc.steps = append(sc.steps, step{line: number, who: who, want: &[]string{}})
		return nil
	}
	a := act{line: number, verb: w[1], args: w[2:]}
	if n := len(a.args); n > 2 && a.args[n-2] == "fails" {
		a.args, a.fails = a.args[:n-2], a.args[n-1]
	}
	if v, ok := verbs[a.verb]; !ok || v.args != len(a.args) || a.fails != "" && errnos[a.fails] == 0 {
		return fmt.Errorf("no such thing to do: %q", words)
	}
	if n := len(sc.steps); n == 0 || sc.steps[n-1].who != who || sc.steps[n-1].want != nil {
		sc.steps = append(sc.steps, step{line: number, who: who})
	}
	last := &sc.steps[len(sc.steps)-1]
	last.acts = append(last.acts, a)
	return nil
}

// quotedWords splits at spaces; words with spaces stand in quotes.
func quotedWords(s string) (out []string, err error) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " ") {
		end := strings.IndexByte(s, ' ')
		if end < 0 {
			end = len(s)
		}
		w := s[:end]
		if s[0] == '"' {
			if w, err = strconv.QuotedPrefix(s); err != nil {
				return nil, err
			}
			end = len(w)
			w, _ = strconv.Unquote(w)
		}
		out, s = append(out, w), s[end:]
	}
	return out, nil
}

// check refuses what cannot be played.
func (s *piece) check() error {
	shown := false
	for i, sc := range s.scenes {
		last := -1
		for _, st := range sc.steps {
			shown = shown || st.want != nil
			switch {
			case sc.cut || sc.disk() != "":
				return fmt.Errorf("nobody does anything in this scene: %s", sc.kind)
			case sc.kind != "apart" && st.want != nil && st.who >= 0, sc.kind == "apart" && st.want != nil && st.who < 0:
				return fmt.Errorf("who are together show the same, who are apart each for himself")
			case sc.kind == "apart" && st.who < last:
				return fmt.Errorf("apart, a acts before b before c")
			case sc.kind != "apart" && st.who >= 0 && !slices.Contains(sc.with, st.who):
				return fmt.Errorf("%s is not there", cast[st.who])
			}
			last = st.who
		}
		if i > 0 && sc.kind == s.scenes[i-1].kind {
			return fmt.Errorf("%s twice", sc.kind)
		}
	}
	if !shown || s.scenes[len(s.scenes)-1].kind != "together" {
		return fmt.Errorf("in the end all are together and show what there is")
	}
	return nil
}
