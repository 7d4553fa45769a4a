package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) undoCmd() *cobra.Command {
	var q controlapi.UndoRequest
	cmd := &cobra.Command{
		Use:   "undo",
		Short: "Take back this device's last change",
		Long: `Take back the last change of this device that removed, overwrote, moved or replaced something,
or with --burst all its changes before, back to five quiet seconds: an rm -rf as a whole. Contents
and names come back; what was newly made stays. What somebody changed since is left alone, and
told. Undoing again takes the undoing back, but after an undo of one of several changes --burst
takes back the others, too.`,
		Args: argCount(0, 0, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, _ []string) error {
			res, err := c.Undo(ctx, q, nil)
			if err != nil {
				return err
			}
			did := "Undone:"
			if q.DryRun {
				did = "Would undo:"
			}
			err = a.restored(res, did, "There was nothing to undo.")
			if res.More && !a.json {
				a.say("More was changed just before; to take it back as a whole: shelf undo --burst")
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&q.Burst, "burst", false, "with all changes before, back to five quiet seconds")
	cmd.Flags().BoolVar(&q.DryRun, "dry-run", false, "only tell what would be done")
	return cmd
}
