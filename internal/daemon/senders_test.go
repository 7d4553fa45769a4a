package daemon

import (
	"testing"

	"github.com/shelffs/shelf/internal/ident"
)

// The senders of the last blocks are known, those of earlier ones forgotten, however often one came.
func TestSendersOfTheLastBlocksAreKnown(t *testing.T) {
	var s senders
	name := func(i int) digest { return digest{byte(i), byte(i >> 8), 1} }
	for i := range 2 * maxSenders {
		s.came(name(i), ident.DeviceID{byte(i)})
		s.came(name(i), ident.DeviceID{byte(i), 1}) // once more, from another
	}
	if len(s.by) != maxSenders {
		t.Errorf("%d are remembered", len(s.by))
	}
	for i, want := range map[int]bool{0: false, maxSenders - 1: false, maxSenders: true, 2*maxSenders - 1: true} {
		if dev, ok := s.sender(name(i)); ok != want || ok && dev != (ident.DeviceID{byte(i), 1}) {
			t.Errorf("block %d: %v %v", i, dev, ok)
		}
	}
}
