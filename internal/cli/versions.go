package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) versionsCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "versions PATH",
		Short: "What a path was before, also one that is gone",
		Long: `List what this device showed under a path, newest first, also when it was removed or moved
since: overwritten and removed states are kept for 30 days (history = "30d" in the
configuration). A state that was there for less than two seconds leaves none.
shelf restore PATH@VERSION brings one back.`,
		Args: argCount(1, 1, "a path"),
		RunE: a.asking(func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error {
			p, err := sharePath(args[0], st.Mount.Path)
			if err != nil {
				return err
			}
			v, err := c.Versions(ctx, p)
			if err != nil {
				return err
			}
			return a.emit(v, func() { a.showVersions(v) })
		}),
	}
}

func (a *app) showVersions(v controlapi.Versions) {
	rows := [][]string{{"VERSION", "FROM", "UNTIL", "SIZE", "HERE", "WHAT BECAME OF IT"}}
	for _, x := range v.Versions {
		id := x.ID
		if id == "" {
			id = "now"
		}
		rows = append(rows, []string{id, when(x.From), when(x.Until), versionSize(x), versionHere(x), ended(x, v.Path)})
	}
	a.table("", rows)
}

// ended says how a state ended, and under which name it was if not under this one.
func ended(x controlapi.Version, path string) string {
	s := x.Ended
	if s != "" && x.By != "" {
		s += " on " + safe(x.By)
	}
	if x.Path != path {
		s = strings.TrimSpace(s + " (it was " + safe(x.Path) + ")")
	}
	return s
}

func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func versionSize(x controlapi.Version) string {
	if x.Kind != controlapi.KindFile {
		return x.Kind
	}
	return size(x.Size)
}

func versionHere(x controlapi.Version) string {
	return hereOf(controlapi.Entry{Kind: x.Kind, Size: x.Size, Here: &controlapi.Here{LocalBytes: x.LocalBytes, Complete: x.Complete}})
}

// showRemoved lists what was removed from a folder.
func (a *app) showRemoved(v controlapi.Versions) {
	if len(v.Versions) == 0 {
		return
	}
	rows := [][]string{{"HERE", "REMOVED", "BY", "SIZE", "NAME"}}
	for _, x := range v.Versions {
		name := x.Path[strings.LastIndexByte(x.Path, '/')+1:]
		rows = append(rows, []string{versionHere(x), when(x.Until), safe(x.By), versionSize(x), nameOf(controlapi.Entry{Name: name, Kind: x.Kind, Target: x.Target})})
	}
	a.table("", rows)
}
