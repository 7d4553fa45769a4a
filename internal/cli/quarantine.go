package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) quarantineCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quarantine",
		Short: "What other devices sent and this one did not take",
		Long: `Every record from another device is checked. What fails is refused and listed here; it is in
nobody's way. A device that signed something invalid itself is frozen: what it writes from
then on is not taken, until it was updated and  shelf quarantine release  was run there.`,
		Args: argCount(0, 0, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, _ []string) error {
			q, err := c.Quarantine(ctx)
			if err != nil {
				return err
			}
			return a.emit(q, func() { a.showQuarantine(q) })
		}),
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "release [DEVICE]",
		Short: "Look again at what a frozen device wrote",
		Long: `On a device that is frozen itself: write everything since then again, for all others to take;
first update Shelf there. On another device: take what the frozen one wrote, if it proves
valid now.`,
		Args: argCount(0, 1, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, args []string) error {
			res, err := c.Thaw(ctx, controlapi.ReleaseRequest{Device: strings.Join(args, "")})
			if err != nil {
				return err
			}
			return a.emit(res, func() { a.say("Looked at again: %s", safe(strings.Join(res.Released, ", "))) })
		}),
	})
	return cmd
}

func (a *app) showQuarantine(q controlapi.Quarantine) {
	const day = "2006-01-02 15:04"
	for _, f := range q.Frozen {
		a.say("Frozen since %s: %s (%s); %s not taken.", f.Since.Local().Format(day), safe(f.Name), safe(f.Why),
			count(int64(f.Waiting), "write is", "writes are"))
	}
	if len(q.FrozenBy) > 0 {
		a.say("Nothing that is written here is taken any more by: %s", safe(strings.Join(q.FrozenBy, ", ")))
	}
	if q.Newer > 0 {
		a.say("%s of a newer version of Shelf: kept, and not shown before Shelf is updated here.", count(int64(q.Newer), "record is", "records are"))
	}
	if len(q.Refused) == 0 {
		return
	}
	rows := [][]string{{"REFUSED", "FROM", "WRITTEN BY", "NUMBER", "WHY", "SIZE"}}
	for _, x := range q.Refused {
		rows = append(rows, []string{x.When.Local().Format(day), safe(x.From), safe(x.Writer), strconv.FormatUint(x.Number, 10), safe(x.Why), size(x.Size)})
	}
	a.table("", rows)
}
