package p2p

import (
	"errors"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/host"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/shelffs/shelf/internal/errs"
)

// listen opens every address of the list. A port that is busy, or was not chosen yet, is replaced by
// one free port, the same for all addresses where possible. An address that this machine cannot listen
// on (no IPv6, say) is skipped; none at all is an error.
func (h *Host) listen(addrs []string) error {
	const op = "p2p.listen"
	chosen := map[string]string{} // asked port → the one it became
	for _, s := range addrs {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return errs.E(op, errs.Invalid, s, err)
		}
		asked := portOf(a)
		if port, ok := chosen[asked]; ok {
			a = withPort(a, port)
		}
		got, err := listenOn(h.host, a)
		if err != nil {
			got, err = listenOn(h.host, withPort(a, "0"))
		}
		if err != nil {
			h.log.Debug("p2p: cannot listen", "addr", s, "err", err)
			continue
		}
		if _, ok := chosen[asked]; !ok {
			chosen[asked] = got
			if got != asked && asked != "0" {
				h.log.Info("p2p: the port was busy", "asked", asked, "got", got)
			}
		}
	}
	if len(h.Listening()) == 0 && len(addrs) > 0 {
		return errs.E(op, errs.Busy, "no address to listen on", nil)
	}
	return nil
}

// listenOn listens on one address and returns the port it got.
func listenOn(h host.Host, a ma.Multiaddr) (port string, err error) {
	before := h.Network().ListenAddresses()
	if err := h.Network().Listen(a); err != nil {
		return "", err
	}
	for _, now := range h.Network().ListenAddresses() {
		if !ma.Contains(before, now) && sameButPort(a, now) {
			return portOf(now), nil
		}
	}
	return "", fmt.Errorf("listening on %s: %w", a, errors.ErrUnsupported)
}

var portCodes = []int{ma.P_TCP, ma.P_UDP}

func portOf(a ma.Multiaddr) string {
	for _, code := range portCodes {
		if v, err := a.ValueForProtocol(code); err == nil {
			return v
		}
	}
	return ""
}

func withPort(a ma.Multiaddr, port string) ma.Multiaddr {
	out := slices.Clone(a)
	for i, c := range out {
		if slices.Contains(portCodes, c.Protocol().Code) {
			if n, err := ma.NewComponent(c.Protocol().Name, port); err == nil {
				out[i] = *n
			}
		}
	}
	return out
}

func sameButPort(a, b ma.Multiaddr) bool { return withPort(a, "1").Equal(withPort(b, "1")) }
