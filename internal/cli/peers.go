package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) peersCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "peers",
		Short: "From which devices bytes come, the first one first",
		Long: `The other devices in the order in which they are asked for bytes that a program waits for,
and what that order comes from. A device on the same network goes before one over the
internet; one that is known to have a file goes before others for that file.`,
		Args: argCount(0, 0, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, _ []string) error {
			peers, err := c.RankedPeers(ctx)
			if err != nil {
				return err
			}
			if peers == nil {
				peers = []controlapi.RankedPeer{}
			}
			return a.emit(map[string]any{"peers": peers}, func() { a.showPeers(peers) })
		}),
	}
}

func (a *app) showPeers(peers []controlapi.RankedPeer) {
	if len(peers) == 0 {
		a.say("There is no other device. To add one:  %s invite", a.program())
		return
	}
	rows := [][]string{{"DEVICE", "ID", "STATE", "PATH", "ROUND TRIP", "RATE", "95 % WITHIN", "HAD IT", "FAILED", "IN FLIGHT"}}
	for _, p := range peers {
		row := peerRow(p.Peer)
		if p.Silent {
			row[2] += ", silent"
		}
		rate, p95, hits := "-", "-", "-"
		if p.Rate != nil {
			rate = size(*p.Rate) + "/s"
		}
		if p.P95 != nil {
			p95 = span(time.Duration(*p.P95 * float64(time.Millisecond)))
		}
		if p.Hits != nil {
			hits = share(*p.Hits)
		}
		rows = append(rows, append(row, rate, p95, hits, share(p.Failures), size(p.InFlight)))
	}
	a.table("", rows)
}

// share is a part of one for people.
func share(x float64) string { return fmt.Sprintf("%.0f%%", 100*x) }
