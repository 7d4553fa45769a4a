package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

func (a *app) restoreCmd() *cobra.Command {
	var to string
	var cmd *cobra.Command
	cmd = &cobra.Command{
		Use:   "restore PATH[@VERSION]",
		Short: "Bring back what was removed or overwritten",
		Long: `Bring an older state of a path back: the one that VERSION names (as shelf versions lists it,
or a time: 2026-11-20, "2026-11-20 14:00", 14:00), else the last one that differs from what is
there. A removed folder comes with what was in it. It is an ordinary change: all devices see it, and
shelf undo takes it back. Only the contents of the file itself are replaced; of a folder that
is there, what is missing comes back and the rest is left as it is. With --to it comes to another
place, over nothing that is there.`,
		Args: argCount(1, 1, "a path"),
		RunE: a.asking(func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error {
			q, err := restoreRequest(ctx, c, st, args[0])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("to") {
				if q.To, err = destination(ctx, c, to, st.Mount.Path); err != nil {
					return err
				}
			}
			res, err := c.Restore(ctx, q, nil)
			if err != nil {
				return err
			}
			return a.restored(res, "Restored", "There was nothing to restore.")
		}),
	}
	cmd.ValidArgsFunction = a.completeVersion
	cmd.Flags().StringVar(&to, "to", "", "restore to this `path` instead")
	return cmd
}

// restoreRequest splits PATH@VERSION. A name may hold an @ itself: a path that is known is one.
func restoreRequest(ctx context.Context, c *client.Client, st controlapi.Status, arg string) (q controlapi.RestoreRequest, err error) {
	known := withoutVersion(arg)
	if known != arg {
		if p, err := sharePath(arg, st.Mount.Path); err == nil { // or it is the mount itself
			q.Path = p
			if _, err = c.Versions(ctx, p); err == nil || !errs.Is(err, errs.NotExist) && !errs.Is(err, errs.NotDir) {
				return q, err
			}
		}
		if q.Version = arg[len(known)+1:]; q.Version == "" {
			return q, usage("see: shelf versions "+known, "%s names no version", arg)
		}
		arg = known
	}
	q.Path, err = sharePath(arg, st.Mount.Path)
	return q, err
}

// withoutVersion is PATH of PATH@VERSION.
func withoutVersion(arg string) string {
	if at := strings.LastIndexByte(arg, '@'); at > 0 {
		return arg[:at]
	}
	return arg
}

// restored tells what became of each path. One that was refused fails the command.
func (a *app) restored(res controlapi.Restored, did, nothing string) error {
	err := a.emit(res, func() {
		n := 0
		for _, it := range res.Items {
			if it.Refused == nil {
				n++
			}
		}
		switch {
		case len(res.Items) == 0:
			a.say("%s", nothing)
		case n == 1:
			for _, it := range res.Items {
				if it.Refused == nil {
					a.say("%s %s", did, restoredName(it))
				}
			}
		case n > 0:
			a.say("%s %s (%s):", did, files(res.Files), size(res.Size))
			for i, it := range res.Items {
				if i == maxShown && len(res.Items) > maxShown+1 {
					a.say("  and %d more", len(res.Items)-i)
					break
				}
				if it.Refused == nil {
					a.say("  %s", restoredName(it))
				}
			}
		}
	})
	if err != nil {
		return err
	}
	items := make([]controlapi.PlaceItem, len(res.Items))
	for i, it := range res.Items {
		items[i] = controlapi.PlaceItem{Path: it.Path, Refused: it.Refused}
	}
	return a.refusals(items)
}

// maxShown is how many paths a person is shown.
const maxShown = 20

func restoredName(it controlapi.RestoredItem) string {
	s := safe(it.Path)
	if it.Kind == controlapi.KindDir {
		s += "/"
	}
	if it.From != "" {
		s += "   (from " + safe(it.From) + ")"
	}
	return s
}
