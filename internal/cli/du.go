package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) duCmd() *cobra.Command {
	var fetch bool
	cmd := &cobra.Command{
		Use:   "du [PATH...]",
		Short: "How large files are, and how much of them is here",
		Long: `Tell for each path (the root of the share if none is given) how large the files at and below it
are, and how much of them is on this device. With --fetch also what reading all of it would bring,
and about how long that takes from the devices that are connected now: to know before a grep -r or
a cp -r. Nothing is fetched for it. PATH is inside the mount, or begins with / at the root of the share.`,
		Args: argCount(0, -1, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error {
			paths := []string{"/"}
			if len(args) > 0 {
				var err error
				if paths, err = sharePaths(args, st); err != nil {
					return err
				}
			}
			res := duJSON{Items: []controlapi.Usage{}}
			for _, p := range paths {
				u, err := c.Usage(ctx, p, fetch)
				if err != nil {
					return err
				}
				res.Items = append(res.Items, u)
			}
			return a.emit(res, func() { a.showUsage(res.Items, fetch) })
		}),
	}
	cmd.Flags().BoolVar(&fetch, "fetch", false, "also what is not here: bytes to be fetched, and how long that takes")
	return cmd
}

type duJSON struct {
	Items []controlapi.Usage `json:"items"`
}

func (a *app) showUsage(all []controlapi.Usage, fetch bool) {
	rows := [][]string{{"SIZE", "HERE", "FILES", "PATH"}}
	if fetch {
		rows = [][]string{{"SIZE", "HERE", "FILES", "TO FETCH", "TAKES ABOUT", "PATH"}}
	}
	for _, u := range all {
		row := []string{size(u.Bytes), size(u.Local), thousands(u.Files)}
		if f := u.Fetch; f != nil {
			row = append(row, size(f.Bytes), about(f))
		}
		rows = append(rows, append(row, safe(u.Path)))
	}
	a.table("", rows)
	for _, u := range all {
		if u.Fetch != nil && u.Fetch.AwayFiles > 0 {
			a.say("%s: %s (%s) are on no device that is connected.", safe(u.Path), files(u.Fetch.AwayFiles), size(u.Fetch.AwayBytes))
		}
	}
}

// about is how long it takes to fetch what connected devices have.
func about(f *controlapi.UsageFetch) string {
	switch {
	case f.Files == 0:
		return "-"
	case f.Seconds == nil:
		return "?"
	}
	d := time.Duration(*f.Seconds * float64(time.Second))
	if d < time.Second {
		return "1 s"
	}
	if d < 10*time.Second {
		return strconv.Itoa(int(d.Seconds()+0.5)) + " s"
	}
	return span(d)
}
