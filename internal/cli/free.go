package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) freeCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "free PATH...",
		Short: "Drop the local bytes of what another device surely has",
		Long: `Drop from this device the contents of files that another device surely holds. They stay
visible and come back when they are opened. What no other device has is never dropped: the
command says so and exits with ` + fmt.Sprint(ExitRefused) + `.`,
		Args: argCount(1, -1, "a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			do := func(ctx context.Context, c *client.Client, q controlapi.PlaceRequest, m *meter) (controlapi.PlaceResult, error) {
				return c.Free(ctx, q, m.moved)
			}
			return a.place(cmd.Context(), args, false, do, freed)
		},
	}
}

func freed(it controlapi.PlaceItem) string {
	s := fmt.Sprintf("freed %s (%s)", blocks(it.MovedBlocks), size(it.MovedBytes))
	if it.MovedBlocks == 0 {
		s = "nothing of it was here"
		if it.KeptBlocks > 0 {
			s = "freed nothing"
		}
	}
	if it.KeptBlocks > 0 {
		s += fmt.Sprintf(", kept %s (%s)", blocks(it.KeptBlocks), size(it.KeptBytes))
	}
	return s
}
