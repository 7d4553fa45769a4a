package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) devicesCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "devices",
		Short: "The devices of this account",
		Args:  argCount(0, 0, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, _ []string) error {
			devices, err := c.Devices(ctx)
			if err != nil {
				return err
			}
			if devices == nil {
				devices = []controlapi.Device{}
			}
			return a.emit(map[string]any{"devices": devices}, func() { a.showDevices(devices) })
		}),
	}
}

func (a *app) showDevices(devices []controlapi.Device) {
	rows := [][]string{{"DEVICE", "ID", "STATE", "PATH", "ROUND TRIP", "SINCE"}}
	skewed := slices.ContainsFunc(devices, func(d controlapi.Device) bool { return d.ClockSkew != nil })
	if skewed {
		rows[0] = append(rows[0], "CLOCK")
	}
	for _, d := range devices {
		row := peerRow(d.Peer)
		if d.Self {
			row[2], row[3], row[4] = "this device", "", ""
		}
		if d.Frozen {
			row[2] += ", frozen"
		}
		switch {
		case d.Twice:
			row[2] += ", in use twice"
		case d.Restored != nil:
			row[2] += ", restored"
		}
		since := ""
		if !d.Admitted.IsZero() {
			since = d.Admitted.Local().Format("2006-01-02")
		}
		if row = append(row, since); skewed {
			row = append(row, clockText(d.ClockSkew))
		}
		rows = append(rows, row)
	}
	a.table("", rows)
}

// clockText says how far another clock is from ours.
func clockText(ms *int64) string {
	if ms == nil {
		return "-"
	}
	d := time.Duration(*ms) * time.Millisecond
	if d < 0 {
		return span(d.Abs()) + " behind"
	}
	return span(d) + " ahead"
}
