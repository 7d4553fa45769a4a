package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) ledgerCmd() *cobra.Command {
	var q controlapi.LedgerRequest
	var long bool
	cmd := &cobra.Command{
		Use:   "ledger [PATH]",
		Short: "Which programs brought what to this device, and why",
		Long: `List what programs brought here of what had not been here (at and below PATH, if one is given),
the newest first: a line for each run of a program, with --long also for each of its files. What a
policy says about the program stands in POLICY; "sweep" marks one that goes through very many files
and that no policy is about; FROM names the devices that sent it. Policies are set in config.toml. The last 10,000 entries are kept, for 30 days.
PATH is inside the mount, or begins with / at the root of the share.`,
		Args: argCount(0, 1, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error {
			if len(args) > 0 {
				var err error
				if q.Path, err = sharePath(args[0], st.Mount.Path); err != nil {
					return err
				}
			}
			l, err := c.Ledger(ctx, q)
			if err != nil {
				return err
			}
			return a.emit(l, func() { a.showLedger(l, long) })
		}),
	}
	cmd.Flags().DurationVar(&q.Since, "since", 0, "only what happened within the last `TIME`, as 90m or 24h")
	cmd.Flags().StringVar(&q.Program, "program", "", "only programs of this `NAME`, or pattern with * and ?")
	cmd.Flags().BoolVarP(&long, "long", "l", false, "also the files")
	cmd.AddCommand(a.ledgerUndoCmd())
	return cmd
}

func (a *app) ledgerUndoCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "undo RUN",
		Short: "Free what a run brought",
		Long: `Free the local bytes of the files that a run of a program brought (its number is in shelf ledger).
They stay visible and come back when they are opened. What is pinned or only here stays.`,
		Args: argCount(1, 1, "the number of a run"),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, args []string) error {
			n, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return usage("see: "+a.program()+" ledger", "%q is no number of a run", args[0])
			}
			u, err := c.UndoRun(ctx, controlapi.UndoRunRequest{Run: n})
			if err != nil {
				return err
			}
			return a.emit(u, func() {
				a.say("%s: freed %s (%s) of %s", safe(u.Program), blocks(u.FreedBlocks), size(u.FreedBytes), files(u.Files))
				if u.KeptFiles > 0 {
					a.say("Of %s something stays: it is pinned, or not surely on another device.", files(u.KeptFiles))
				}
			})
		}),
	}
	cmd.ValidArgsFunction = a.completeRun
	return cmd
}

func (a *app) showLedger(l controlapi.Ledger, long bool) {
	if len(l.Runs) == 0 {
		a.say("No program brought anything.")
		return
	}
	rows := [][]string{{"RUN", "PROGRAM", "PID", "LAST", "FILES", "READ", "AHEAD", "REFUSED", "POLICY", "FROM"}}
	for _, r := range l.Runs {
		rows = append(rows, []string{strconv.FormatUint(r.Run, 10), programOf(r), pidOf(r.PID), r.Last.Local().Format(time.DateTime),
			thousands(r.Files), size(r.Read + r.Pinned), size(r.Ahead), thousands(r.Refused), policyOf(r), sourcesOf(r.From)})
		if !long {
			continue
		}
		for _, it := range r.Items {
			p := it.Path
			if p == "" {
				p = "(gone)"
			}
			rows = append(rows, []string{"", "  " + safe(p), "", it.Last.Local().Format(time.DateTime), "", size(it.Read + it.Pinned), size(it.Ahead), "", "", sourcesOf(it.From)})
		}
	}
	a.table("", rows)
}

func programOf(r controlapi.LedgerRun) string {
	s := safe(r.Program)
	if r.Parent != "" && r.Parent != r.Program {
		s += " (of " + safe(r.Parent) + ")"
	}
	return s
}

// sourcesOf names the devices that sent something, with how much where there are several.
func sourcesOf(from []controlapi.LedgerSource) string {
	if len(from) == 1 {
		return safe(from[0].Name)
	}
	words := make([]string, len(from))
	for i, s := range from {
		words[i] = safe(s.Name) + " " + size(s.Bytes)
	}
	return strings.Join(words, ", ")
}

func pidOf(pid uint32) string {
	if pid == 0 {
		return "-"
	}
	return strconv.FormatUint(uint64(pid), 10)
}

func policyOf(r controlapi.LedgerRun) string {
	words := []string{safe(r.Action)}
	if r.Sweep {
		words = append(words, "sweep")
	}
	return strings.Join(words, ", ")
}
