package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

// mdnsService is the name under which all of Shelf meets on a local network. What is announced under it is
// a peer id and its addresses, under a random name that is new at each start.
const mdnsService = "_shelf._udp"

const (
	mdnsSettle = 2 * time.Second  // after a change of addresses, before announcing them
	mdnsRetry  = 30 * time.Second // where there is no network to announce on
	maxFound   = 256              // strangers remembered
)

// discovery announces this host on the local network and looks for others. An announcement is fixed when it
// starts, so it is made anew when the addresses change. Used by one goroutine.
type discovery struct {
	h       *Host
	service mdns.Service
	timer   *time.Timer
}

func newDiscovery(h *Host) *discovery {
	d := &discovery{h: h, timer: time.NewTimer(0)}
	if !h.cfg.MDNS {
		d.timer.Stop()
	}
	return d
}

// due fires when start is to be called.
func (d *discovery) due() <-chan time.Time { return d.timer.C }

func (d *discovery) start() {
	d.end()
	s := mdns.NewMdnsService(d.h.host, mdnsService, found{d.h})
	if err := s.Start(); err != nil {
		d.h.log.Debug("p2p: no discovery on the local network", "err", err)
		_ = s.Close()
		d.timer.Reset(mdnsRetry)
		return
	}
	d.service = s
}

// restart makes start due soon.
func (d *discovery) restart() {
	if d.h.cfg.MDNS {
		d.timer.Reset(mdnsSettle)
	}
}

func (d *discovery) end() {
	if d.service != nil {
		_ = d.service.Close()
		d.service = nil
	}
}

func (d *discovery) stop() {
	d.timer.Stop()
	d.end()
}

// found hears of peers on the local network; a mdns.Notifee.
type found struct{ h *Host }

// HandlePeerFound dials a device that is ours; a stranger's address is remembered for joining it.
func (f found) HandlePeerFound(info peer.AddrInfo) {
	addrs := toStrings(toMultiaddrs(toStrings(info.Addrs)))
	f.h.mu.Lock()
	l := f.h.ids[info.ID]
	if l == nil {
		if len(f.h.found) >= maxFound {
			clear(f.h.found)
		}
		f.h.found[info.ID] = mergeAddrs(addrs, nil)
	}
	f.h.mu.Unlock()
	if l != nil {
		if fresh := l.learn(addrs); !l.connected() {
			l.now()
		} else if fresh {
			l.check() // it is in another place: the connection may be dead
		}
	}
}
