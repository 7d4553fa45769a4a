package cli

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) resolveCmd() *cobra.Command {
	var keep string
	var all bool
	keeps := []string{controlapi.KeepMine, controlapi.KeepTheirs, controlapi.KeepBoth}
	cmd := &cobra.Command{
		Use:   "resolve PATH... --keep mine|theirs|both",
		Short: "End a conflict, on all devices",
		Long: `Say which version of a file stays. All devices follow, also those that are away now. No
bytes need to be here for it.

  mine    the version that this device wrote last; if it wrote none, the one that has the name
  theirs  the other one
  both    all: what shows beside the name becomes a file of its own under the name it shows

PATH is the file, and then all its versions are meant, or one version beside it, and then only
this one and the file. With --all, PATH may be a folder (the whole share if none is given):
all conflicts in it. PATH is inside the mount, or begins with / at the root of the share.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return nil
			}
			return argCount(1, -1, "a path")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(keeps, keep) {
				return usage("for example: "+a.program()+" resolve PATH --keep both", "say what to keep: --keep %s, %s or %s", keeps[0], keeps[1], keeps[2])
			}
			return a.asking(func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error {
				paths := []string{"/"}
				if len(args) > 0 {
					var err error
					if paths, err = sharePaths(args, st); err != nil {
						return err
					}
				}
				res, err := c.Resolve(ctx, controlapi.ResolveRequest{Paths: paths, Keep: keep, All: all})
				if err != nil {
					return err
				}
				return a.resolved(res)
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&keep, "keep", "", "`what` stays: mine, theirs or both")
	cmd.Flags().BoolVar(&all, "all", false, "all conflicts at and below each PATH")
	_ = cmd.RegisterFlagCompletionFunc("keep", cobra.FixedCompletions(keeps, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// resolved tells what became of each conflict; what was refused fails the command.
func (a *app) resolved(res controlapi.ResolveResult) error {
	if res.Items == nil {
		res.Items = []controlapi.ResolveItem{}
	}
	dropped := 0
	err := a.emit(res, func() {
		if len(res.Items) == 0 {
			a.say("No conflicts.")
		}
		for _, it := range res.Items {
			dropped += len(it.Dropped)
			if it.Refused == nil {
				a.say("%s: %s", safe(it.Path), resolution(it))
			}
		}
		switch {
		case dropped == 0:
		case len(res.Items) == 1:
			a.say("To take it back:  %s undo", a.program())
		default:
			a.say("To take it all back:  %s undo --burst", a.program())
		}
	})
	if err != nil {
		return err
	}
	var refused []controlapi.PlaceItem
	for _, it := range res.Items {
		refused = append(refused, controlapi.PlaceItem{Path: it.Path, Refused: it.Refused})
	}
	return a.refusals(refused)
}

func resolution(it controlapi.ResolveItem) string {
	if len(it.Dropped) == 0 {
		var names []string
		for _, k := range it.Kept {
			names = append(names, safe(path.Base(k)))
		}
		return "kept as " + list(names)
	}
	var gone []string
	for _, v := range it.Dropped {
		gone = append(gone, fmt.Sprintf("the version from %s of %s (%s)", safe(v.Device.Name), v.When.Local().Format("2006-01-02 15:04"), size(v.Size)))
	}
	return "resolved; dropped " + list(gone)
}
