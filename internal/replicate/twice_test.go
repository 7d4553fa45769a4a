package replicate

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/simnet"
	"github.com/shelffs/shelf/internal/wire"
)

// forked is a network on which two hosts may be one device: streams from either come from that device, and
// those to it always go to the same of the two.
type forked struct {
	*simnet.Host
	as   map[ident.DeviceID]ident.DeviceID // hosts that are another device
	hide map[ident.DeviceID]bool           // devices that are not met: nobody connects to itself
}

func (f *forked) Handle(protocol string, h func(ident.DeviceID, wire.Stream)) {
	f.Host.Handle(protocol, func(dev ident.DeviceID, s wire.Stream) {
		if is, ok := f.as[dev]; ok {
			dev = is
		}
		h(dev, s)
	})
}

func (f *forked) subscribe() (<-chan Event, func()) {
	in, stop := f.Subscribe()
	out := make(chan Event)
	go func() {
		defer close(out)
		for e := range in {
			if _, twin := f.as[e.Device]; !twin && !f.hide[e.Device] {
				out <- e
			}
		}
	}()
	return out, stop
}

// Of a device of which two copies run at the same time both are told so, and the others; and both get all, and
// what both do comes to all, although the network leads to only one of them. When one ends, all
// goes on with the other.
func TestTwoRunsOfOneDevice(t *testing.T) {
	net := simnet.New(simnet.Link{})
	const a, b, copied = 0, 1, 2
	b1 := newPeer(t, net, b, a)
	disk := b1.disk
	pa := setup{disk: kv.NewMemory(), twin: copied, twinOf: b}.peer(t, net, a, b)
	pa.make(t, 0, 10)
	waitFiles(t, 10, pa, b1)
	settled(t, pa, b1)
	b1.stop()
	image := disk.Clone()
	b1 = setup{disk: disk}.peer(t, net, b, a)
	settled(t, pa, b1)
	if got := pa.Twice(); got != nil {
		t.Errorf("a restart is taken for a copy: %v", got)
	}
	b2 := setup{disk: image, copied: copied}.peer(t, net, b, a)
	both := []*peer{b1, b2}
	b1.make(t, 100, 105)
	b2.make(t, 200, 205)
	pa.make(t, 300, 305)
	waitFiles(t, 25, pa, b1, b2)
	eventually(t, "all are told", func() bool {
		return !slices.ContainsFunc(append(both, pa), func(p *peer) bool { return !slices.Contains(p.Twice(), b1.id) })
	})
	eventually(t, "all claim the same", func() bool { // until then one may still have to write again what the other's fork has voided
		return !slices.ContainsFunc(both, func(p *peer) bool {
			x, y := pa.names.Claims(), p.names.Claims()
			return !x.Covers(y) || !y.Covers(x) || p.names.Stat().Files != 25
		})
	})
	b2.stop() // and with the other it goes on
	b1.make(t, 110, 111)
	pa.make(t, 310, 311)
	waitFiles(t, 27, pa, b1)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// Only a run that is heard again after another one proves that there are two: restarts, of which each is
// another run, do not. It is forgotten when there is no further sign.
func TestTwins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tw, dev := newTwins(), ident.DeviceID{1}
		runs := []run{newRun(), newRun(), newRun()}
		for _, n := range append(runs, runs[2], run{}, runs[2]) {
			tw.heard(dev, n, false)
		}
		if tw.twice(dev) {
			t.Error("two restarts are taken for a copy")
		}
		tw.heard(dev, runs[1], false)
		if !tw.twice(dev) || tw.twice(ident.DeviceID{2}) {
			t.Error("not noticed, or of another device")
		}
		time.Sleep(twiceTime / 2)
		tw.heard(dev, runs[2], false)
		time.Sleep(twiceTime / 2)
		if !tw.twice(dev) {
			t.Error("forgotten although there was a sign")
		}
		time.Sleep(twiceTime)
		if tw.twice(dev) {
			t.Error("never forgotten")
		}
		for range 10 * mostRuns {
			tw.heard(dev, newRun(), false)
		}
		if tw.twice(dev) || len(tw.runs[dev]) != mostRuns {
			t.Errorf("%d runs are remembered", len(tw.runs[dev]))
		}

		_, news := tw.toldBy(dev)
		tw.heard(dev, runs[0], true)
		<-news
		if told, _ := tw.toldBy(dev); !told {
			t.Error("what it says of this device is not heard")
		}
		tw.heard(dev, runs[0], false)
		if told, _ := tw.toldBy(dev); told {
			t.Error("taken back, and not heard")
		}
	})
}
