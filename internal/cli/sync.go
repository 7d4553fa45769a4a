package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
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
			if err := a.noteNobody(cmd.Context(), c, st, q); err != nil {
				return err
			}
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
				return a.notSynced(cmd.Context(), c, res, time.Since(began))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&q.Wait, "wait", false, "wait for it")
	cmd.Flags().DurationVar(&q.Timeout, "timeout", 0, "give up after this `time`, as 30s (default never)")
	return cmd
}

// noteNobody says before a long wait that it will be one: no other device is connected that could take
// what is only here.
func (a *app) noteNobody(ctx context.Context, c *client.Client, st controlapi.Status, q controlapi.SyncRequest) error {
	if !q.Wait || !nobody(st) {
		return nil
	}
	res, err := c.Sync(ctx, controlapi.SyncRequest{}, func(controlapi.Pending) {})
	if err == nil && !res.Synced {
		a.note("No other device is connected; waiting for one. (%s devices tells when each was seen last.)", a.program())
	}
	return err
}

// nobody reports whether there are other devices, none of them connected.
func nobody(st controlapi.Status) bool {
	return len(st.Peers) > 0 && !slices.ContainsFunc(st.Peers, func(p controlapi.Peer) bool { return p.Connected })
}

// notSynced is the error after a wait in vain.
func (a *app) notSynced(ctx context.Context, c *client.Client, res controlapi.SyncResult, took time.Duration) error {
	lack := "other devices still lack"
	if st, err := c.Status(ctx); err == nil && nobody(st) {
		lack = "no other device is connected, and they still lack"
	}
	return controlapi.E("timeout", "this tells which are connected: "+a.program()+" devices",
		"after %s %s %s", span(took), lack, pendingText(res.Pending))
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
