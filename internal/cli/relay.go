package cli

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) relayCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Reach devices that no direct way leads to",
		Long: `List the relays at which this device waits for others that cannot reach it directly, because
both are behind routers that let nobody in. A relay is a machine of yours that both can reach: there run
shelf relay serve, and on the device shelf relay use with the address that it prints. The other devices hear
of it from this one, or with an invitation. A relay passes on what it cannot read, and only while there is no direct way.`,
		Args: argCount(0, 0, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, _ []string) error {
			relays, err := c.Relays(ctx)
			if err != nil {
				return err
			}
			if relays == nil {
				relays = []controlapi.Relay{}
			}
			return a.emit(map[string]any{"relays": relays}, func() { a.showRelays(relays) })
		}),
	}
	cmd.AddCommand(a.relayUseCmd(), a.relayLeaveCmd(), a.relayServeCmd())
	return cmd
}

func (a *app) showRelays(relays []controlapi.Relay) {
	if len(relays) == 0 {
		a.say("This device uses no relay. See:  %s relay --help", a.program())
		return
	}
	rows := [][]string{{"RELAY", "STATE"}}
	for _, r := range relays {
		rows = append(rows, []string{r.Place, relayState(r)})
	}
	a.table("", rows)
}

func relayState(r controlapi.Relay) string {
	switch {
	case r.Waiting:
		return "waiting there"
	case r.Reason != "":
		return "not reached: " + safe(r.Reason)
	}
	return "calling it"
}

func (a *app) relayUseCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "use ADDRESS",
		Short: "Wait at a relay, from now on",
		Long: `Have this device wait at a relay for others that cannot reach it directly, now and after each start.
ADDRESS is what shelf relay serve has printed; whoever has it may use the relay, so it is not for everybody's eyes.
At most four relays. A relay that does not answer is kept, and tried again.`,
		Args: argCount(1, 1, "the address of a relay"),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, args []string) error {
			r, err := c.UseRelay(ctx, controlapi.UseRelayRequest{Address: args[0]})
			if err != nil {
				return err
			}
			return a.emit(r, func() { a.say("This device waits at the relay %s.", r.Place) })
		}),
	}
}

func (a *app) relayLeaveCmd() *cobra.Command {
	return &cobra.Command{
		ValidArgsFunction: a.completeRelay,
		Use:               "leave RELAY",
		Short:             "Wait at a relay no more",
		Long:              `End that this device waits at a relay. RELAY is its place as shelf relay lists it, its id or its address.`,
		Args:              argCount(1, 1, "a relay"),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, args []string) error {
			if err := c.LeaveRelay(ctx, controlapi.LeaveRelayRequest{Relay: args[0]}); err != nil {
				return err
			}
			return a.emit(map[string]any{"left": args[0]}, func() { a.say("This device has left the relay %s.", safe(args[0])) })
		}),
	}
}

func (a *app) relayServeCmd() *cobra.Command {
	var c config.Relay
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Be a relay, on a machine that all devices can reach",
		Long: `Pass connections on between devices that cannot reach one another, until Ctrl-C or SIGTERM. This needs no
account and no mount, and keeps nothing but a key, so that its address stays the same. It prints the address for
shelf relay use, one for each address of this machine; with --host only those that are named. What passes is
encrypted between the devices: the relay learns their transport keys and addresses, when they are on and how much they
send. It serves who knows its secret, which is part of the address; to change it, remove relay.key and start it anew.`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.Dir == "" {
				var err error
				if c.Dir, err = config.DefaultRelayDir(); err != nil {
					return err
				}
			}
			return a.serveRelay(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&c.Listen, "listen", ":4001", "`address` to listen on (TCP), as :443 or 203.0.113.7:443")
	cmd.Flags().StringArrayVar(&c.Hosts, "host", nil, "`name` or address by which devices find this machine (repeatable)")
	cmd.Flags().StringVar(&c.Dir, "dir", "", "`folder` for its key (default ~/.local/share/shelf-relay)")
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}

func (a *app) serveRelay(ctx context.Context, c config.Relay) error {
	hardenProcess()
	log := slog.New(slog.DiscardHandler)
	if !a.json {
		log = newLog(a.Stderr)
	}
	stopping := context.AfterFunc(ctx, func() { notify("STOPPING=1") })
	defer stopping()
	return a.ServeRelay(ctx, c, log, func(addrs []string) {
		notify("READY=1\nSTATUS=passing connections on")
		_ = a.emit(map[string]any{"addresses": addrs}, func() {
			a.say("This relay serves devices that use one of its addresses:\n")
			for _, at := range addrs {
				a.say("  shelf relay use %s", at)
			}
			a.say("\nCtrl-C ends it.")
		})
	})
}

// completeRelay offers the relays that are used.
func (a *app) completeRelay(cmd *cobra.Command, args []string, _ string) (list []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, _, err := a.connect(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	relays, err := c.Relays(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, r := range relays {
		list = append(list, r.Place)
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}
