package scenario

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// A new file in a folder where somebody works comes by itself, from a device that knows nothing of heat; one elsewhere
// does not. What was freed does not come back.
func TestHotFoldersFillThemselves(t *testing.T) {
	t.Parallel()
	m := newMemory()
	a, b := newMemoryDevice(t, m, "a"), newMemoryDevice(t, m, "b")
	b.start.Heat = 64 << 20
	a.create()
	a.admit(b)
	for _, dir := range []string{"/essays", "/other"} {
		if err := a.sys().Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const used = 24
	for i := range used {
		put(t, a, fmt.Sprintf("/essays/%d", i), fmt.Sprint("text ", i))
	}
	for i := range used {
		eventually(t, 10*time.Second, "b reads it", func() bool {
			got, err := get(b, fmt.Sprintf("/essays/%d", i))
			return err == nil && got == fmt.Sprint("text ", i)
		})
	}
	ctx := context.Background()
	eventually(t, 20*time.Second, "the uses count", func() bool {
		h, err := b.dev.Heat(ctx, controlapi.HeatRequest{Path: "/essays"})
		return err == nil && len(h.Files) == used && len(h.Folders) == 1 && h.Folders[0].Heat > used-1
	})
	if _, err := b.dev.Free(ctx, controlapi.PlaceRequest{Paths: []string{"/essays/0"}}, func(controlapi.Progress) {}); err != nil {
		t.Fatal(err)
	}
	put(t, a, "/essays/0", "a new text")
	put(t, a, "/other/new", string(random(1, 1<<20)))
	put(t, a, "/essays/new", string(random(2, 1<<20)))
	here := func(path string) controlapi.PathStatus {
		s, err := b.dev.PathStatus(ctx, path)
		if err != nil {
			return controlapi.PathStatus{}
		}
		return s
	}
	eventually(t, 30*time.Second, "the new file is on b", func() bool { return here("/essays/new").Size == 1<<20 && here("/essays/new").Complete })
	if s := here("/essays/new"); s.Kept != "used here" {
		t.Errorf("it is not told why: %+v", s)
	}
	for _, path := range []string{"/other/new", "/essays/0"} {
		if s := here(path); s.LocalBytes != 0 || s.Kept != "" || s.Heat != 0 {
			t.Errorf("%s: %+v", path, s)
		}
	}
	l, err := b.dev.Ledger(ctx, controlapi.LedgerRequest{Program: "shelf heat"})
	if err != nil || len(l.Runs) != 1 || l.Runs[0].Files != 1 || l.Runs[0].Ahead < 1<<20 {
		t.Errorf("the ledger: %+v %v", l.Runs, err)
	}
}

// Hand-off is for devices of one network, and brings nothing over the internet.
func TestHandOffStaysOnTheNetwork(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.moves("a", true)
	a, b := newMemoryDevice(t, m, "a"), newMemoryDevice(t, m, "b")
	a.start.Heat, b.start.Heat = 64<<20, 64<<20
	a.create()
	a.admit(b)
	ctx := context.Background()
	works := func(path string) {
		t.Helper()
		put(t, a, path, string(random(uint64(len(path)), 1<<20)))
		eventually(t, 20*time.Second, "it counts as used", func() bool {
			h, err := a.dev.Heat(ctx, controlapi.HeatRequest{Path: path})
			return err == nil && len(h.Files) == 1
		})
	}
	here := func(path string) bool {
		s, err := b.dev.PathStatus(ctx, path)
		return err == nil && s.Size == 1<<20 && s.Complete
	}
	works("/far")
	time.Sleep(6 * time.Second) // twice what it takes otherwise
	if s, err := b.dev.Status(ctx); err != nil || s.Transferred.BlocksIn != 0 || s.Heat.Files != 0 {
		t.Errorf("%+v, %+v, %v", s.Transferred, s.Heat, err)
	}
	m.moves("a", false)
	works("/home")
	eventually(t, 30*time.Second, "the work is on b", func() bool { return here("/far") && here("/home") })
}

// Nor does it bring from far away what a device on this network uses and does not have.
func TestHandOffAsksNobodyFarAway(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.moves("a", true)
	a, b, c := newMemoryDevice(t, m, "a"), newMemoryDevice(t, m, "b"), newMemoryDevice(t, m, "c")
	b.start.Heat, c.start.Heat = 64<<20, 64<<20
	a.create()
	a.admit(b)
	a.admit(c)
	const size = 24 << 20
	put(t, a, "/film", string(random(1, size)))
	eventually(t, 10*time.Second, "c reads a little of it", func() bool {
		f, err := c.sys().Open("/film", os.O_RDONLY, 0)
		if err != nil {
			return false
		}
		defer f.Close()
		n, err := f.Pread(make([]byte, 4096), 12<<20)
		return err == nil && n == 4096
	})
	here := func(d *memoryDevice) controlapi.PathStatus {
		s, err := d.dev.PathStatus(context.Background(), "/film")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	eventually(t, 30*time.Second, "b has what c has", func() bool { return here(b).LocalBytes > 0 })
	time.Sleep(3 * time.Second) // it would have begun with the rest long ago
	if on, at := here(b).LocalBytes, here(c).LocalBytes; on > at || at > size/2 {
		t.Errorf("%d bytes on b, %d on c", on, at)
	}
}
