package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) brakeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "brake",
		Short: "What is held back because a device changed so much at once",
		Long: `When a device removes or overwrites very many files that had been there for a day, the
others stop following it until a person says that this was meant: a program that runs amok
on one device must not reach them all. This command lists what is held back.`,
		Args: argCount(0, 0, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, _ []string) error {
			b, err := c.Brake(ctx)
			if err != nil {
				return err
			}
			return a.emit(b, func() { a.showBrake(b) })
		}),
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "release [DEVICE]",
		Short: "Let what is held back pass, on all devices",
		Args:  argCount(0, 1, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, args []string) error {
			res, err := c.Release(ctx, controlapi.ReleaseRequest{Device: strings.Join(args, "")})
			if err != nil {
				return err
			}
			return a.emit(res, func() { a.say("Released: %s", strings.Join(res.Released, ", ")) })
		}),
	})
	return cmd
}

func (a *app) showBrake(b controlapi.Brake) {
	if len(b.Held) > 0 {
		rows := [][]string{{"DEVICE", "FILES BEFORE", "CHANGES HELD", "SINCE"}}
		for _, h := range b.Held {
			rows = append(rows, []string{h.Name, strconv.Itoa(h.Files), strconv.FormatUint(h.Waiting, 10), h.Since.Local().Format("2006-01-02 15:04")})
		}
		a.table("", rows)
	}
	if len(b.HeldBy) > 0 {
		a.say("Changes of this device are held back by: %s", strings.Join(b.HeldBy, ", "))
	}
}
