package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) unpinCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "unpin PATH...",
		Short: "Keep only while it is used",
		Long:  `Take back a pin. What is here stays until the cache needs the room (shelf free drops it at once).`,
		Args:  argCount(1, -1, "a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			do := func(ctx context.Context, c *client.Client, q controlapi.PlaceRequest, _ *meter) (controlapi.PlaceResult, error) {
				return c.Unpin(ctx, q)
			}
			return a.place(cmd.Context(), args, false, do, func(it controlapi.PlaceItem) string {
				if it.Placement == controlapi.PlacePinned {
					return "still pinned, by a folder above"
				}
				return "no longer pinned"
			})
		},
	}
}
