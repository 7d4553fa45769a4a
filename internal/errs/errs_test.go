package errs

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestKindOf(t *testing.T) {
	inner := E("cache.Get", Corrupt, "bafk", nil)
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{nil, Other},
		{errors.New("x"), Other},
		{inner, Corrupt},
		{E("fetch.Get", Other, "", inner), Corrupt},
		{E("fetch.Get", Offline, "", inner), Offline},
		{fmt.Errorf("wrap: %w", inner), Corrupt},
		{fmt.Errorf("wrap: %w", context.Canceled), Interrupted},
		{E("x", Other, "", context.DeadlineExceeded), Timeout},
	} {
		if got := KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for k := Other; k <= Withheld; k++ {
		if s := k.String(); s == "unknown kind" || seen[s] {
			t.Errorf("kind %d: name %q missing or repeated", k, s)
		} else {
			seen[s] = true
		}
	}
}
