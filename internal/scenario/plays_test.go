package scenario

import (
	"flag"
	"testing"
	"time"
)

var playsOnly = flag.String("plays", "", "play only those whose name matches this expression")

// The plays of testdata/plays on the pure model: each by itself, with the clocks that it asks for,
// broken off wherever it can be; and all at once.
func TestPlaysOfTheModel(t *testing.T) {
	t.Parallel()
	all := scripts(t)
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			for cut := 0; ; cut++ {
				m := newModel(t, s.clocks)
				m.cut = cut
				if p := perform(m, t.Logf, s)[0]; p.failed != "" {
					t.Fatalf("%s: %s\n(meetings break after %d records)\n%s", s.at, s.title, cut, p.failed)
				}
				if !m.broke {
					break
				}
			}
		})
	}
	t.Run("all", func(t *testing.T) {
		m := newModel(t, [3]time.Duration{})
		m.short = true // a play that wants no year to pass would see it in the names of its copies
		report(t, perform(m, t.Logf, evenings(timely(all))[0]...))
	})
}

// timely leaves out the plays that ask for clocks of their own, which only the model can set.
func timely(all []*piece) (out []*piece) {
	for _, s := range all {
		if !s.clocked {
			out = append(out, s)
		}
	}
	return out
}

// The same plays by whole devices over the network in memory, and by real programs with real mounts.
func TestPlays(t *testing.T) {
	t.Parallel()
	all := timely(scripts(t))
	t.Logf("%d plays", len(all))
	for name, stage := range stages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, plays := range evenings(all) {
				report(t, perform(newCompany(t, stage), t.Logf, plays...))
			}
		})
	}
}
