package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) pinCmd() *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:   "pin PATH...",
		Short: "Fetch and keep on this device",
		Long: `Fetch files and folders and keep them on this device; what comes into a folder later is
fetched and kept as well. Returns when everything is here, unless --no-wait is given; when it
is interrupted, the pin stays and fetching goes on. What no command waits for is not fetched on a
low battery or over a metered connection, until that is over; status tells.`,
		Args: argCount(1, -1, "a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			do := func(ctx context.Context, c *client.Client, q controlapi.PlaceRequest, m *meter) (controlapi.PlaceResult, error) {
				return c.Pin(ctx, q, m.moved)
			}
			return a.place(cmd.Context(), args, !noWait, do, pinned)
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return at once; fetching goes on in the background")
	return cmd
}

func pinned(it controlapi.PlaceItem) string {
	what := size(it.Size)
	if it.Files != 1 {
		what = files(it.Files) + ", " + what
	}
	switch {
	case it.Waits != "" && it.Refused == nil:
		return fmt.Sprintf("pinned (%s); waits, %s (without --no-wait it is fetched now)", what, safe(it.Waits))
	case !it.Complete && it.Refused == nil:
		return fmt.Sprintf("pinned (%s); being fetched", what)
	case it.MovedBlocks == 0 && it.Complete:
		return fmt.Sprintf("pinned (%s); all of it was here", what)
	case it.Complete:
		return fmt.Sprintf("pinned (%s); fetched %s (%s), all of it is here", what, blocks(it.MovedBlocks), size(it.MovedBytes))
	}
	return fmt.Sprintf("pinned (%s); fetched %s (%s)", what, blocks(it.MovedBlocks), size(it.MovedBytes))
}
