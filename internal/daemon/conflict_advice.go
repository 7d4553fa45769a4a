package daemon

import (
	"fmt"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// suggest says what a person might do about a conflict. Nobody but a person can tell whether one
// version has everything that is in the other; so where nothing speaks for one, both stay.
func suggest(c controlapi.NameConflict) controlapi.Suggestion {
	both := func(format string, args ...any) controlapi.Suggestion {
		return controlapi.Suggestion{Keep: controlapi.KeepBoth, Reason: fmt.Sprintf(format, args...)}
	}
	one := func(i int, format string, args ...any) controlapi.Suggestion {
		keep := controlapi.KeepTheirs
		if i == c.Mine {
			keep = controlapi.KeepMine
		}
		return controlapi.Suggestion{Keep: keep, Reason: fmt.Sprintf(format, args...)}
	}
	a, b := c.Versions[0], c.Versions[1]
	switch {
	case a.Kind == controlapi.KindDir:
		return both("a folder has the name, and the file can have one of its own")
	case len(c.Versions) > 2:
		return both("there are %d versions: compare them, and delete what is not needed", len(c.Versions))
	case a.Kind != b.Kind:
		return both("one is a %s, the other a %s", a.Kind, b.Kind)
	case c.Equal:
		return one(0, "both have the same bytes")
	case a.Size == 0:
		return one(1, "the other one is empty")
	case b.Size == 0:
		return one(0, "the other one is empty")
	case len(a.Knew) > 0:
		return one(0, "%s had both before it when it wrote this one", a.Device.Name)
	case len(b.Knew) > 0:
		return one(1, "%s had both before it when it wrote this one", b.Device.Name)
	}
	if gap := a.When.Sub(b.When).Abs().Round(time.Hour); gap >= 48*time.Hour {
		older := a
		if b.When.Before(a.When) {
			older = b
		}
		return both("the one from %s is %d days older than the other, which need not have what is new in it: compare them", older.Device.Name, int(gap/(24*time.Hour)))
	}
	return both("they were written apart: compare them")
}
