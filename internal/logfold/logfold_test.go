package logfold

import (
	"testing"
	"time"
)

func TestFold(t *testing.T) {
	now := time.Unix(1000, 0)
	f := New[string](30*time.Second, func() time.Time { return now })
	for i, step := range []struct {
		after time.Duration
		cause string
		want  int
	}{
		{0, "full", 1}, {0, "full", 0}, {0, "io", 1}, {29 * time.Second, "full", 0},
		{time.Second, "full", 3}, {time.Second, "full", 0}, {time.Minute, "io", 1},
	} {
		now = now.Add(step.after)
		if n := f.Add(step.cause); n != step.want {
			t.Errorf("step %d: a line for %d events, want %d", i, n, step.want)
		}
	}
	rest := map[string]int{}
	for range 2 { // the second finds nothing
		f.Rest(func(k string, n int) { rest[k] += n })
	}
	if len(rest) != 1 || rest["full"] != 1 {
		t.Errorf("rest %v", rest)
	}
}
