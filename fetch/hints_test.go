package fetch_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/ident"
)

// crowd is many devices on one network, of which one has the blocks and any other has nothing.
func crowd(n *network, ds []blocks.Digest, holder int) {
	for i, p := range n.peers {
		p.has = func(d blocks.Digest) bool { return i == holder && slices.Contains(ds, d) }
	}
}

// vain is how often devices were asked that have nothing.
func (n *network) vain(holder int) (c int) {
	for _, a := range n.asked() {
		if a.dev != holder {
			c++
		}
	}
	return c
}

func devicesOnLAN(n int) (ways []way) {
	for range n {
		ways = append(ways, lan(time.Millisecond, 0))
	}
	return ways
}

// Of many devices only the one that is known to have a file is asked, by readers and for what they are about to
// read; without the hint most of the others are.
func TestHoldersAreAskedFirst(t *testing.T) {
	const devices, holder, files, each = 24, 17, 40, 3
	count := func(t *testing.T, hint bool) (vain int, longest time.Duration) {
		simulate(t, 1, devicesOnLAN(devices), fetch.Limits{}, func(t *testing.T, n *network) {
			ds := n.blocks(0, files*each)
			crowd(n, ds, holder)
			for file := range slices.Chunk(ds, each) {
				g := n.fetcher.Group()
				if hint {
					g = n.fetcher.Following(func() []ident.DeviceID { return []ident.DeviceID{n.peers[holder].id} })
				}
				g.Ahead(file[1:]...)
				for _, d := range file {
					longest = max(longest, n.get(t, g, d))
				}
			}
			vain = n.vain(holder)
		})
		return vain, longest
	}
	with, slowest := count(t, true)
	without, before := count(t, false)
	t.Logf("questions in vain: %d with hints, %d without; longest wait %v and %v", with, without, slowest, before)
	if with > 0 {
		t.Errorf("%d questions to devices that have nothing", with)
	}
	if without < files {
		t.Errorf("without hints only %d questions in vain: the test shows nothing", without)
	}
}

// A hint that is wrong costs the questions that it led to, once for a file, and shuts nobody out: everything comes
// from who has it. It is believed again when it was taken back and given anew.
func TestFalseHintsOnlyChangeTheOrder(t *testing.T) {
	const liar, holder = 3, 5
	simulate(t, 1, devicesOnLAN(8), fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.blocks(0, 60)
		crowd(n, ds, holder)
		var said atomic.Pointer[[]ident.DeviceID]
		say := func(devs ...int) {
			var ids []ident.DeviceID
			for _, i := range devs {
				ids = append(ids, n.peers[i].id)
			}
			said.Store(&ids)
		}
		say(liar)
		g := n.fetcher.Following(func() []ident.DeviceID { return *said.Load() })
		for _, d := range ds[:20] {
			n.get(t, g, d)
		}
		if first := n.asked()[0]; first.dev != liar {
			t.Errorf("device %d was asked first", first.dev)
		}
		if asked := n.count(0, liar); asked > 5 {
			t.Errorf("who was wrongly said to have it was asked %d times for 20 blocks", asked)
		}
		say()
		say(holder)
		before, vain := len(n.asked()), n.vain(holder)
		for _, d := range ds[20:40] {
			n.get(t, g, d)
		}
		if n.vain(holder) != vain {
			t.Errorf("a later hint was not followed: %v", n.asked()[before:])
		}
		n.peers[liar].has = func(d blocks.Digest) bool { return slices.Contains(ds, d) }
		n.connect(holder, false)
		say(liar)
		vain = n.count(0, 0, 1, 2, 4, 6, 7)
		for _, d := range ds[40:] {
			n.get(t, g, d)
		}
		if n.count(0, 0, 1, 2, 4, 6, 7) != vain {
			t.Error("a hint that was given anew was not believed")
		}
	})
}

// Who is said to have a file and is away, or is there and says nothing, does not keep readers from the others.
func TestHintsDelayNobody(t *testing.T) {
	for name, spoil := range map[string]func(n *network, i int){
		"away":   func(n *network, i int) { n.connect(i, false) },
		"silent": func(n *network, i int) { n.set(i, func(w *way) { w.asleep = true }) },
	} {
		t.Run(name, func(t *testing.T) {
			took := func(hint bool) (all time.Duration) {
				simulate(t, 1, devicesOnLAN(4), fetch.Limits{}, func(t *testing.T, n *network) {
					ds := n.blocks(0, 40)
					for _, d := range ds[:20] { // what devices are like is known
						n.get(t, n.fetcher.Group(), d)
					}
					spoil(n, 0) // who would be asked first without a hint, too
					var said []ident.DeviceID
					if hint {
						said = append(said, n.peers[0].id)
					}
					g := n.fetcher.Following(func() []ident.DeviceID { return said })
					for _, d := range ds[20:] {
						if _, err := g.Get(context.Background(), d, fetch.OnDemand); err != nil {
							t.Fatal(err)
						}
					}
					all = n.now()
				})
				return all
			}
			with, without := took(true), took(false)
			t.Logf("20 blocks in %v with the hint, %v without", with, without)
			if with > without+time.Second {
				t.Errorf("20 blocks took %v with the hint and %v without", with, without)
			}
		})
	}
}

// A hint does not make up for a device that breaks off: it is left for the others until it is better.
func TestHintsDoNotExcuseFailures(t *testing.T) {
	simulate(t, 1, devicesOnLAN(4), fetch.Limits{}, func(t *testing.T, n *network) {
		n.set(1, func(w *way) { w.lost = 0.95 })
		g := n.fetcher.Following(func() []ident.DeviceID { return []ident.DeviceID{n.peers[1].id} })
		for _, d := range n.blocks(0, 100) {
			n.get(t, g, d)
		}
		if asked := n.count(0, 1); asked > 30 {
			t.Errorf("who breaks off nearly always was asked %d times for 100 blocks", asked)
		}
	})
}
