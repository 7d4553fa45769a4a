//go:build linux

package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A home is put back from a backup and used before it meets anybody: what it does then, and what
// the others know of the lost days, both stay; and it is a device like any other afterwards.
func TestHomePutBackFromABackup(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t, "a").up(), newDevice(t, "b")
	a.write("both", []byte("in the backup"))
	a.write("changed", []byte("old"))
	a.admit(b)
	b.up()
	b.shows("changed", []byte("old"))
	b.must("pin", b.mnt)
	a.must("sync", "--wait", "--timeout", "30s")
	a.must("down")
	backup := a.home + ".backup"
	run(t, "cp", "-a", a.home, backup)

	a.up()
	for i := range 30 {
		a.write(fmt.Sprint("lost-", i), []byte(fmt.Sprint("of the lost days ", i)))
	}
	a.write("changed", []byte("new"))
	if err := os.Remove(a.path("both")); err != nil {
		t.Fatal(err)
	}
	b.shows("changed", []byte("new"))
	eventually(t, 20*time.Second, "b has everything", func() bool {
		for i := range 30 {
			if p, err := os.ReadFile(b.path(fmt.Sprint("lost-", i))); err != nil || len(p) == 0 {
				return false
			}
		}
		return true
	})
	a.must("sync", "--wait", "--timeout", "30s")
	a.must("down")
	b.must("down")

	run(t, "rm", "-rf", a.home)
	run(t, "mv", backup, a.home) // other files than those it was made from
	a.up()
	for i := range 20 {
		a.write(fmt.Sprint("alone-", i), []byte(fmt.Sprint("after the backup ", i)))
	}
	b.up()
	for _, d := range []*device{a, b} {
		d.shows("changed", []byte("new"))
		for i := range 30 {
			d.shows(fmt.Sprint("lost-", i), []byte(fmt.Sprint("of the lost days ", i)))
		}
		for i := range 20 {
			d.shows(fmt.Sprint("alone-", i), []byte(fmt.Sprint("after the backup ", i)))
		}
		eventually(t, 10*time.Second, "what was removed stays so", func() bool {
			_, err := os.Stat(d.path("both"))
			return os.IsNotExist(err)
		})
		entries, err := os.ReadDir(d.mnt)
		if err != nil || len(entries) != 51 {
			t.Errorf("%s: %d entries, %v", d.name, len(entries), err)
		}
		for _, e := range entries {
			if strings.Contains(e.Name(), "conflict") {
				t.Errorf("%s: %s", d.name, e.Name())
			}
		}
	}
	a.write("on", []byte("and on"))
	b.shows("on", []byte("and on"))
	b.write("changed", []byte("once more"))
	a.shows("changed", []byte("once more"))
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
