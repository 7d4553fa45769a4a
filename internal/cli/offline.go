package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) offlineCmd() *cobra.Command {
	var q controlapi.OfflineRequest
	cmd := &cobra.Command{
		Use:   "offline",
		Short: "What would not open without network",
		Long: `List the favourites (pinned files) and the recent work that would not open without network: files
changed in the last 14 days on whatever device, and those of which only parts are here because
they were opened. With --fix: fetch what they lack. Exits with ` + fmt.Sprint(ExitOffline) + ` while something is missing.`,
		Args: argCount(0, 0, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, _ []string) error {
			m := a.newMeter()
			res, err := c.Offline(ctx, q, m.ready)
			m.done()
			if err != nil {
				return err
			}
			if res.Files == nil {
				res.Files = []controlapi.OfflineFile{}
			}
			if err := a.emit(res, func() { a.showOffline(res) }); err != nil || res.Ready {
				return err
			}
			return a.notReady(res, q.Fix)
		}),
	}
	cmd.Flags().BoolVar(&q.Fix, "fix", false, "fetch what is missing")
	return cmd
}

// ready shows how the look goes, then the fetching.
func (m *meter) ready(p controlapi.OfflineProgress) {
	if p.TotalBytes == 0 {
		m.line("Looked at " + files(p.Looked))
		return
	}
	m.moved(p.Progress)
}

func (a *app) showOffline(res controlapi.OfflineResult) {
	if res.FetchedBytes > 0 {
		a.say("Fetched %s.", size(res.FetchedBytes))
	}
	if res.Ready {
		a.say("All favourites and recent work open without network.")
		return
	}
	rows := [][]string{{"MISSING", "OF", "WHY", "PATH"}}
	for _, f := range res.Files {
		if f.Missing > 0 {
			rows = append(rows, []string{size(f.Missing), size(f.Size), f.Why, safe(f.Path)})
		}
	}
	a.table("", rows)
	if res.More > 0 {
		a.say("… and %s more", files(res.More))
	}
}

// notReady is the error while something is missing: with --fix the first reason why.
func (a *app) notReady(res controlapi.OfflineResult, fix bool) error {
	n := res.More
	var why *controlapi.Refusal
	for _, f := range res.Files {
		if f.Missing > 0 {
			n++
		}
		if why == nil {
			why = f.Refused
		}
	}
	kind, hint, what := controlapi.Kind("offline"), "to fetch them: "+a.program()+" offline --fix", ""
	if fix {
		hint = ""
	}
	if why != nil {
		kind, hint, what = why.Kind, a.refusalHint("", &controlapi.Refusal{Kind: why.Kind, Reason: why.Reason}), ": "+why.Reason
	}
	return controlapi.E(kind, hint, "%s would not open without network (%s are missing)%s", files(n), size(res.MissingBytes), what)
}
