package cli

import (
	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) whyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "why PATH",
		Short: "Why a file is not here, and what would bring it",
		Args:  argCount(1, 1, "a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, st, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			p, err := sharePath(args[0], st.Mount.Path)
			if err != nil {
				return err
			}
			w, err := c.Why(cmd.Context(), p)
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
		},
	}
}

func (a *app) showWhy(w controlapi.Why) {
	if w.Here {
		a.say("%s is here, all of it.", safe(w.Path))
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
