package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) syncCmd() *cobra.Command {
	var q controlapi.SyncRequest
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Wait until another device has everything done here",
		Long: `With --wait: return when every change made here is durable on at least one other device
that keeps it, so that it is safe to close the lid. Without: tell how it stands.`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case q.Timeout != 0 && !q.Wait:
				return usage("", "--timeout needs --wait")
			case q.Timeout < 0:
				return usage("", "--timeout cannot be negative")
			}
			c, st, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			m := a.newMeter()
			began := time.Now()
			res, err := c.Sync(cmd.Context(), q, m.pending)
			m.done()
			if err != nil {
				return err
			}
			if res.On == nil {
				res.On = []string{}
			}
			err = a.emit(res, func() { a.showSync(res, q, st.Account.Devices < 2) })
			if err == nil && q.Wait && !res.Synced {
				return controlapi.E("timeout", "this tells which are connected: "+a.program()+" devices",
					"after %s other devices still lack %s", span(time.Since(began)), pendingText(res.Pending))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&q.Wait, "wait", false, "wait for it")
	cmd.Flags().DurationVar(&q.Timeout, "timeout", 0, "give up after this `time`, as 30s (default never)")
	return cmd
}

// showSync words how it stands; alone means that there is no other device that could have anything.
func (a *app) showSync(res controlapi.SyncResult, q controlapi.SyncRequest, alone bool) {
	switch {
	case alone:
		a.say("This is the only device: what is here is nowhere else. To add one:  %s invite", a.program())
	case res.Synced && len(res.On) > 0:
		names := make([]string, len(res.On))
		for i, n := range res.On {
			names[i] = safe(n)
		}
		a.say("Everything done here is on %s too.", list(names))
	case res.Synced:
		a.say("Everything done here is on another device too.")
	case !q.Wait && res.Pending.Zero():
		a.say("No other device has said yet that it has everything.")
	case !q.Wait:
		a.say("Not on another device yet: %s.", pendingText(res.Pending))
	}
}
