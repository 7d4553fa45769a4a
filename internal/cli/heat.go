package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) heatCmd() *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use:   "heat [PATH]",
		Short: "What is used on this device, and kept for that",
		Long: `List the files and folders (at and below PATH, if one is given) that are used most on this device, and
those that are kept here because another device of this network uses them. A heat is a count of uses of which
half is forgotten in a week; a folder's is the sum of its files'. What indexers, backups and copying
programs do is no use, nor is what goes through very many files. The newest content of what is hot is
brought here before it is opened, within the budget that heat in config.toml sets (25% of the cache, or off).
PATH is inside the mount, or begins with / at the root of the share.`,
		Args: argCount(0, 1, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error {
			var q controlapi.HeatRequest
			if most < 0 {
				return usage("0 lists all", "--most %d makes no sense", most)
			}
			if len(args) > 0 {
				var err error
				if q.Path, err = sharePath(args[0], st.Mount.Path); err != nil {
					return err
				}
			}
			h, err := c.Heat(ctx, q)
			if err != nil {
				return err
			}
			if most > 0 {
				h.Files, h.Folders = h.Files[:min(len(h.Files), most)], h.Folders[:min(len(h.Folders), most)]
			}
			return a.emit(h, func() { a.showHeat(h) })
		}),
	}
	cmd.Flags().IntVarP(&most, "most", "n", 20, "no more than `N` files and folders each; 0: all")
	return cmd
}

func (a *app) showHeat(h controlapi.Heat) {
	if h.Status == nil {
		a.say("Nothing is known: heat is off (config.toml).")
		return
	}
	a.say("%s", sentence(inUse(h.Status)))
	for _, part := range []struct {
		head  string
		items []controlapi.HeatItem
	}{{"FILE", h.Files}, {"FOLDER", h.Folders}} {
		if len(part.items) == 0 {
			continue
		}
		a.say("")
		rows := [][]string{{"HEAT", "LAST USE", "HERE", "KEPT", part.head}}
		for _, it := range part.items {
			rows = append(rows, []string{heatText(it.Heat), lastUse(it.Used), yesNo(it.Complete), keptOr(it), safe(it.Path)})
		}
		a.table("", rows)
	}
}

// inUse sums up what is kept because it is used.
func inUse(h *controlapi.HeatStatus) string {
	if h == nil {
		return "not looked at (heat is off)"
	}
	s := files(h.Files) + " (" + size(h.Bytes) + ") kept because they are used, of at most " + size(h.Budget)
	if h.Files == 1 {
		s = "1 file (" + size(h.Bytes) + ") kept because it is used, of at most " + size(h.Budget)
	}
	if h.Room < h.Budget {
		s += "; the cache and the disk leave " + size(h.Room)
	}
	return s
}

// keptText completes "it is …".
func keptText(why string, heat float64) string {
	if heat < 0.05 {
		return safe(why)
	}
	return safe(why) + " (heat " + heatText(heat) + ")"
}

func keptOr(it controlapi.HeatItem) string {
	switch {
	case it.Kept != "":
		return safe(it.Kept)
	case it.Placement == controlapi.PlacePinned, it.Placement == controlapi.PlaceCloud:
		return it.Placement
	}
	return "-"
}

func heatText(h float64) string {
	if h == 0 {
		return "-"
	}
	return strconv.FormatFloat(h, 'f', 1, 64)
}

func lastUse(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return span(time.Since(*t)) + " ago"
}

func yesNo(b bool) string {
	if b {
		return "all"
	}
	return "no"
}
