package scenario

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/simnet"
)

func statusOf(t testing.TB, d *memoryDevice) controlapi.Status {
	t.Helper()
	s, err := d.dev.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func warned(s controlapi.Status, words string) bool {
	return strings.Contains(strings.Join(s.Warnings, "\n"), words)
}

// copyHome is an image of a device that is off.
func copyHome(t testing.TB, d *memoryDevice) config.Home {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(d.start.Home.Dir())); err != nil {
		t.Fatal(err)
	}
	return config.Home(dir)
}

// A home that is put back from an image says so, on the device itself and on the others, also after a
// restart, and nobody else is meant. Who joins later hears nothing of it: it was before its time.
func TestRestoredDeviceIsTold(t *testing.T) {
	m := newMemory()
	a, b, c := newMemoryDevice(t, m, "a"), newMemoryDevice(t, m, "b"), newMemoryDevice(t, m, "c")
	a.create()
	put(t, a, "/f", "1")
	a.admit(b)
	agree(t, []actor{a, b}, "/f=1")
	a.away()
	image := copyHome(t, a)
	a.back()
	put(t, a, "/g", "2")
	agree(t, []actor{a, b}, "/g=2")
	for _, d := range []*memoryDevice{a, b} {
		if s := statusOf(t, d); len(s.Restored) != 0 || warned(s, "put back") {
			t.Errorf("an ordinary restart is told: %+v", s.Restored)
		}
	}
	a.away()
	began := time.Now().Truncate(time.Millisecond)
	a.start.Home = image
	a.back()
	told := func(d *memoryDevice) func() bool {
		return func() bool {
			s := statusOf(t, d)
			return len(s.Restored) == 1 && s.Restored[0].Name == "a" && s.Restored[0].Self == (d == a) && !s.Restored[0].Noticed.Before(began) &&
				warned(s, "put back from a backup")
		}
	}
	eventually(t, 10*time.Second, "it says so itself", told(a))
	eventually(t, 10*time.Second, "the other one says so", told(b))
	agree(t, []actor{a, b}, "/g=2")
	b.away()
	b.back()
	if !told(b)() {
		t.Error("forgotten by a restart")
	}
	devices, err := b.dev.Devices(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		if (d.Restored != nil) != (d.Name == "a") {
			t.Errorf("%+v", d)
		}
	}

	b.admit(c)
	agree(t, []actor{a, b, c}, "/g=2")
	put(t, a, "/h", "3")
	agree(t, []actor{a, b, c}, "/h=3")
	if s := statusOf(t, c); len(s.Restored) != 0 {
		t.Errorf("told to a device that has just joined: %+v", s.Restored)
	}
}

// While names are still coming, a device says so, and from whom: amid a first sync, and when that was cut.
func TestNamesStillComing(t *testing.T) {
	m := newMemory()
	m.net = simnet.New(simnet.Link{Bandwidth: 100_000})
	a, b := newMemoryDevice(t, m, "a"), newMemoryDevice(t, m, "b")
	a.create()
	const files = 600 // two seconds of that network
	for i := range files {
		put(t, a, fmt.Sprint("/f", i), "")
	}
	if s := statusOf(t, a); len(s.Coming) != 0 {
		t.Errorf("the first device: %+v", s.Coming)
	}
	a.admit(b)
	coming := func(connected bool) {
		t.Helper()
		if s := statusOf(t, b); len(s.Coming) != 1 || s.Coming[0].Name != "a" || s.Coming[0].Connected != connected || s.Files == files {
			t.Errorf("%d files, coming: %+v, want it connected: %v", s.Files, s.Coming, connected)
		}
	}
	coming(true)
	b.away()
	a.away()
	b.back()
	coming(false)
	a.back()
	eventually(t, 30*time.Second, "all names are there, and nothing more is said", func() bool {
		s := statusOf(t, b)
		return s.Files == files && len(s.Coming) == 0
	})
	a.away()
	b.away()
	b.back()
	if s := statusOf(t, b); len(s.Coming) != 0 {
		t.Errorf("alone, and complete: %+v", s.Coming)
	}
}
