package cli

import (
	"context"

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
	for _, d := range devices {
		row := peerRow(d.Peer)
		if d.Self {
			row[2], row[3], row[4] = "this device", "", ""
		}
		since := ""
		if !d.Admitted.IsZero() {
			since = d.Admitted.Local().Format("2006-01-02")
		}
		rows = append(rows, append(row, since))
	}
	a.table("", rows)
}
