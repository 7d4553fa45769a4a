//go:build linux

package scenario

import (
	"bytes"
	"os"
	"testing"
	"time"
)

// A cache full of pins makes reads stream and never fail: a file that is larger than what is left, and one when
// nothing at all is left, are read whole through the mount, with the right bytes; no pin goes for it.
func TestReadsStreamWhenNothingFits(t *testing.T) {
	const mib = 1 << 20
	a, b := newDevice(t, "desk").up(), newDevice(t, "laptop")
	b.settings("cache_size = \"16MiB\"\npin_quota = \"100%\"\n")
	film := random(1, 24*mib)
	favourites := map[string][]byte{"fav/one": random(2, 13*mib), "fav/two": random(3, 2*mib+mib/2)}
	a.write("film", film)
	for name, data := range favourites {
		a.write(name, data)
	}
	a.admit(b)
	b.up()
	eventually(t, 20*time.Second, "the namespace is there", func() bool {
		fi, err := os.Stat(b.path("film"))
		two, terr := os.Stat(b.path("fav/two"))
		return err == nil && fi.Size() == int64(len(film)) && terr == nil && two.Size() == int64(len(favourites["fav/two"]))
	})
	for _, name := range []string{"fav/one", "fav/two"} { // three MiB are left, then a half
		b.must("pin", b.path(name))
		if !bytes.Equal(b.read("film"), film) {
			t.Fatalf("after pinning %s: other bytes", name)
		}
		if s := b.status().Cache; s.Used > s.Limit || s.Limit != 16*mib {
			t.Errorf("after pinning %s: %+v", name, s)
		}
	}
	b.must("down")
	b.up()
	eventually(t, 20*time.Second, "desk is connected", func() bool { return len(b.status().Peers) == 1 && b.status().Peers[0].Connected })
	if !bytes.Equal(b.read("film"), film) { // from the network: nothing in memory, hardly anything here
		t.Fatal("after a restart: other bytes")
	}
	if s := b.status(); s.Transferred.BlocksIn == 0 {
		t.Error("nothing was streamed")
	}
	for name := range favourites {
		if !b.pathStatus(b.path(name)).Complete {
			t.Errorf("%s went for it", name)
		}
	}
}
