package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) limitsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "limits",
		Short: "How many bytes a second pass between devices, by network",
		Long: `Without flags: the limits in force. With flags: sets them until the daemon ends; to keep
them, write them into config.toml under [limits]. A limit is as 2MB/s, or off.

It holds for the bytes of files. What a program waits for goes first, and counts; what nobody
waits for gets the rest. Limits of the metered connection hold beside those of the internet
and of relays, while it is metered.`,
		Args: argCount(0, 0, ""),
	}
	flags := map[string]*string{}
	for _, name := range config.LimitNames {
		flags[name] = cmd.Flags().String(strings.ReplaceAll(name, "_", "-"), "", "`rate` "+limitUsage(name))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		set, changed := map[string]int64{}, false
		for name, text := range flags {
			if !cmd.Flags().Changed(strings.ReplaceAll(name, "_", "-")) {
				continue
			}
			n, err := config.ParseRate(*text)
			if err != nil {
				return err
			}
			set[name], changed = n, true
		}
		c, _, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer c.Close()
		l, err := c.Limits(cmd.Context())
		if err == nil && changed {
			all := config.Limits(l)
			for name, n := range set {
				*all.Named(name) = n
			}
			l, err = c.SetLimits(cmd.Context(), controlapi.Limits(all))
		}
		if err != nil {
			return err
		}
		return a.emit(l, func() { a.showLimits(config.Limits(l)) })
	}
	return cmd
}

// limitUsage words the name of a limit for help.
func limitUsage(name string) string {
	network, way, _ := strings.Cut(name, "_")
	text := map[string]string{"lan": "on this network", "internet": "over the internet", "relay": "through relays", "metered": "while the connection is metered"}[network]
	return map[string]string{"up": "sent ", "down": "received "}[way] + text + ", as 2MB/s or off"
}

func (a *app) showLimits(l config.Limits) {
	rows := [][]string{{"NETWORK", "UP", "DOWN"}}
	for i := 0; i < len(config.LimitNames); i += 2 {
		network, _, _ := strings.Cut(config.LimitNames[i], "_")
		rows = append(rows, []string{network, rate(*l.Named(config.LimitNames[i])), rate(*l.Named(config.LimitNames[i+1]))})
	}
	a.table("", rows)
}

func rate(n int64) string {
	if n == 0 {
		return "off"
	}
	return size(n) + "/s"
}
