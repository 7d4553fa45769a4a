package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) whyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "why PATH",
		Short: "Why a file is not here, and what would bring it",
		Args:  argCount(1, 1, "a path"),
		RunE: a.asking(func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error {
			p, err := sharePath(args[0], st.Mount.Path)
			if err != nil {
				return err
			}
			w, err := c.Why(ctx, p)
			if err != nil {
				return err
			}
			if w.Holders == nil {
				w.Holders = []controlapi.Copy{}
			}
			if w.Hints == nil {
				w.Hints = []string{}
			}
			return a.emit(w, func() { a.showWhy(w) })
		}),
	}
}

func (a *app) showWhy(w controlapi.Why) {
	if w.Here {
		a.say("%s is here, all of it.", safe(w.Path))
		if w.Kept != "" {
			a.say("It is kept here because it is %s.", keptText(w.Kept, w.Heat))
		}
		return
	}
	a.say("%s: %s", safe(w.Path), safe(sentence(w.Reason)))
	if w.Waiting {
		a.say("A program is waiting for it right now.")
	}
	var rows [][]string
	for _, h := range w.Holders {
		state := "connected"
		if !h.Connected {
			state = "not connected"
		}
		part := "has all of it"
		if !h.Complete {
			part = "has a part of it"
		}
		rows = append(rows, []string{safe(h.Name), part, state})
	}
	if len(rows) > 0 {
		a.say("")
		a.table("  ", rows)
	}
	for _, h := range w.Hints {
		a.say("\n%s", safe(sentence(h)))
	}
}
