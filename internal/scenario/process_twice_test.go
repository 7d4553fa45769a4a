//go:build linux

package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// A home is copied, and both copies run: all devices say so, with what to do, and what is made on each shows on
// all, though the network knows the two as one.
func TestHomeInUseTwice(t *testing.T) {
	t.Parallel()
	a, b, copied := newDevice(t, "a").up(), newDevice(t, "b"), newDevice(t, "b-copied")
	a.write("first", []byte("1"))
	a.admit(b)
	b.up()
	b.shows("first", []byte("1"))
	b.must("down")
	run(t, "rm", "-rf", copied.home)
	run(t, "cp", "-a", b.home, copied.home)
	b.up()
	copied.up()
	all := []*device{a, b, copied}
	for _, d := range all {
		d.write("from "+d.name, []byte(d.name))
	}
	for _, d := range all {
		eventually(t, 30*time.Second, d.name+" shows all names", func() bool {
			out, _ := d.try("ls", "/")
			return strings.Contains(out, "from a") && strings.Contains(out, "from b\n") && strings.Contains(out, "from b-copied")
		})
		eventually(t, 30*time.Second, d.name+" says that b is in use twice", func() bool {
			var s controlapi.Status
			d.decode(&s, "status", "--json")
			return len(s.Twice) == 1 && s.Twice[0].Name == "b" && s.Twice[0].Self == (d != a) && len(s.Restored) == 0 &&
				slices.ContainsFunc(s.Warnings, func(w string) bool {
					return strings.Contains(w, "in use twice") && strings.Contains(w, "shelf join TOKEN")
				})
		})
		if out := d.must("devices"); !strings.Contains(out, "in use twice") {
			t.Errorf("%s:\n%s", d.name, out)
		}
		if out, _ := d.try("doctor"); !strings.Contains(out, "in use twice") {
			t.Errorf("%s:\n%s", d.name, out)
		}
	}
}
