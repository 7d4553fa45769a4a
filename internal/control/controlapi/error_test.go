package controlapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

func TestEveryErrsKindHasAWordAndBack(t *testing.T) {
	seen := map[Kind]bool{}
	for k := errs.Other; k.String() != "unknown kind"; k++ {
		s := SlugOf(k)
		if seen[s] || (s == KindOther) != (k == errs.Other) {
			t.Errorf("kind %d (%v): word %q is missing or used twice", k, k, s)
		}
		seen[s] = true
		if s.Errs() != k {
			t.Errorf("%q leads back to %v, not %v", s, s.Errs(), k)
		}
	}
	if SlugOf(200) != KindOther || Kind("nonsense").Errs() != errs.Other {
		t.Error("unknown kinds must be Other")
	}
}

func TestDescribe(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "plain"},
		{errs.E("fs.Open", errs.NotExist, "/a", nil), "/a: does not exist"},
		{errs.E("a", errs.Offline, "/a", errs.E("b", errs.Offline, "", nil)), "/a: no device that has it can be reached"},
		{errs.E("a", errs.Busy, "/m", errors.New("used by vim")), "/m: busy: used by vim"},
		{errs.E("a", errs.Other, "", errs.E("b", errs.Corrupt, "row", nil)), "row: corrupt"},
		{errs.E("a", errs.NotExist, "x", errs.E("b", errs.Other, "x", nil)), "x: does not exist: x"},
		{errs.E("a", errs.Other, "", nil), "error"},
		{fmt.Errorf("while: %w", errs.E("op", errs.Busy, "", nil)), "while: op: busy"},
	} {
		if got := Describe(c.err); got != c.want {
			t.Errorf("Describe(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}

type hinted struct{ error }

func (hinted) Hint() string    { return "do this" }
func (h hinted) Unwrap() error { return h.error }

func TestFromError(t *testing.T) {
	if FromError(nil) != nil || WithHint(nil, "x") != nil {
		t.Error("nil must stay nil")
	}
	cause := errs.E("op", errs.Busy, "/m", nil)
	e := FromError(WithHint(fmt.Errorf("mount: %w", cause), "wait"))
	if e.Kind != "busy" || e.Hint != "wait" || !errors.Is(e, cause) || errs.KindOf(e) != errs.Busy {
		t.Errorf("hint around a cause: %+v", e)
	}
	if e := FromError(fmt.Errorf("x: %w", E(KindToken, "h", "no %d", 1))); e.Kind != KindToken || e.Message != "no 1" {
		t.Errorf("an Error in the chain: %+v", e)
	}
	if e := FromError(hinted{cause}); e.Hint != "do this" || e.Kind != "busy" {
		t.Errorf("own hint: %+v", e)
	}
}

// Over the socket the kind survives, and nothing else leaks.
func TestErrorJSON(t *testing.T) {
	b, err := json.Marshal(Failure{WithHint(errs.E("op", errs.Timeout, "x", nil), "h").(*Error)})
	if err != nil || string(b) != `{"error":{"kind":"timeout","message":"x: timed out","hint":"h"}}` {
		t.Fatalf("%s %v", b, err)
	}
	var f Failure
	if err := json.Unmarshal(b, &f); err != nil || errs.KindOf(f.Error) != errs.Timeout || f.Error.Error() != "x: timed out" {
		t.Errorf("%+v %v", f.Error, err)
	}
}
