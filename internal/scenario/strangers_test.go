package scenario

import (
	"testing"
	"time"
)

// One device joins while another is away, and the one that let it in is gone when that comes back: the two
// that never met find together all the same.
func TestJoinedWhileAnotherWasAway(t *testing.T) {
	m := newMemory()
	a, b, c := newMemoryDevice(t, m, "a"), newMemoryDevice(t, m, "b"), newMemoryDevice(t, m, "c")
	a.create()
	a.admit(b)
	put(t, a, "/first", "of a")
	sees(t, b, "/first")
	b.away()
	a.admit(c)
	sees(t, c, "/first")
	a.away()
	put(t, c, "/second", "of c")
	b.back()
	sees(t, b, "/second")
	put(t, b, "/third", "of b")
	sees(t, c, "/third")
	a.back()
	sees(t, a, "/third")
}

func sees(t *testing.T, d *memoryDevice, path string) {
	t.Helper()
	eventually(t, 20*time.Second, d.start.Name+" sees "+path, func() bool {
		_, err := d.sys().Lstat(path)
		return err == nil
	})
}
