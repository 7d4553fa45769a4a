package scenario

import (
	"strings"
	"testing"
	"time"
)

// A play that goes wrong says which, shows the script with the place, and what each device shows.
func TestAPlayThatGoesWrong(t *testing.T) {
	all, err := parseScripts("some.play", `
PLAY right: this one is
  a write f 1
  show
    f = 1

PLAY wrong: this one is not
  a write f old
apart
  a write f "by a"
  b write f "by b"
  b shows
    f = by b
together
  show
    f = by a

PLAY impossible: to remove what is not there
apart
  c unlink f fails ENOENT
  c unlink f
together
  show
`)
	if err != nil {
		t.Fatal(err)
	}
	got := perform(newModel(t, [3]time.Duration{}), t.Logf, all...)
	if got[0].failed != "" {
		t.Error(got[0].failed)
	}
	for i, want := range [][]string{1: {"not what they are to show", "c shows\n    f (from a) = by a [conflict]\n    f = by b\n", "->   show\n", `   b write f "by b"`},
		2: {"c: unlink", "->   c unlink f\n"}} {
		for _, w := range want {
			if !strings.Contains(got[i].failed, w) {
				t.Errorf("%q is missing in\n%s", w, got[i].failed)
			}
		}
	}
}

// What cannot be performed is refused before it is.
func TestBadScripts(t *testing.T) {
	for _, text := range []string{
		"PLAY x: nothing shown\n  a write f 1\n",
		"PLAY x: not together in the end\n  show\napart\n",
		"PLAY x: apart twice\napart\napart\ntogether\n  show\n",
		"PLAY x: no such verb\n  a wirte f 1\n  show\n",
		"PLAY x: too few words\n  a write f\n  show\n",
		"PLAY x: nobody\n  d write f 1\n  show\n",
		"PLAY x: no such scene\nabroad\n  show\n",
		"PLAY x: c is away\na meets b\n  c write f 1\ntogether\n  show\n",
		"PLAY x: out of order\napart\n  b write f 1\n  a write f 1\ntogether\n  show\n",
		"PLAY x: no such error\n  a unlink f fails EHWPOISON\n  show\n",
		"PLAY x: work in a moment\na meets b, cut short\n  a write f 1\ntogether\n  show\n",
		"PLAY x: apart, all show\napart\n  show\ntogether\n  show\n",
		"PLAY x: shown by nobody\n    f = 1\n  show\n",
		"PLAY x: no such clock\nclock a fast\n  show\n",
	} {
		if _, err := parseScripts("bad.play", text); err == nil {
			t.Errorf("accepted:\n%s", text)
		}
	}
}
