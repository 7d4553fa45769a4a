//go:build linux

package scenario

import (
	"testing"
	"time"
)

// The same as TestJoinedWhileAnotherWasAway with real daemons: c joins while b is off, and a is off when b
// comes back. Both see each other then and stay connected.
func TestDaemonsJoinedWhileAnotherWasAway(t *testing.T) {
	t.Parallel()
	a, b, c := newDevice(t, "a").up(), newDevice(t, "b"), newDevice(t, "c")
	a.admit(b)
	b.up()
	b.must("down")
	a.admit(c)
	c.up()
	a.must("down")
	c.write("of c", []byte("hello b"))
	b.up()
	b.shows("of c", []byte("hello b"))
	b.write("of b", []byte("hello c"))
	c.shows("of b", []byte("hello c"))
	for range 20 {
		for _, d := range []*device{b, c} {
			other := map[string]string{"b": "c", "c": "b"}[d.name]
			for _, p := range d.status().Peers {
				if p.Name == other && !p.Connected {
					t.Fatalf("%s does not call %s connected any more", d.name, other)
				}
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}
