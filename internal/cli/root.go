package cli

import (
	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
)

// groups of commands, in the order of the help.
const (
	groupStart  = "start"
	groupPlace  = "place"
	groupLook   = "look"
	groupBack   = "back"
	groupAround = "around"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "shelf",
		Short: "One folder with every file of all your devices",
		Long: `Shelf mounts one folder that shows every file of all your devices, and brings a file's
bytes when you open it. The files live on the devices themselves, encrypted; there is no
cloud. Begin with  shelf up  on the first device, then  shelf invite  there and
shelf join  on the next. To see it work on this machine alone:  shelf demo`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknown(cmd, args[0])
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			a.home, err = config.FindHome(a.homeFlag)
			return err
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.PersistentFlags().StringVar(&a.homeFlag, "home", "", "`folder` with this device's state (default $SHELF_HOME, else "+defaultHomeText()+")")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON for scripts")
	_ = root.MarkPersistentFlagDirname("home")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("see: "+cmd.CommandPath()+" --help", "%s", err)
	})
	root.AddGroup(
		&cobra.Group{ID: groupStart, Title: "Begin and end:"},
		&cobra.Group{ID: groupPlace, Title: "Decide what lies on this device:"},
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupBack, Title: "Go back:"},
		&cobra.Group{ID: groupAround, Title: "Around it:"},
	)
	root.SetHelpCommandGroupID(groupAround)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupStart, a.upCmd(), a.downCmd(), a.inviteCmd(), a.joinCmd(), a.recoveryCmd())
	add(groupPlace, a.pinCmd(), a.unpinCmd(), a.freeCmd(), a.offlineCmd(), a.syncCmd(), a.limitsCmd(), a.brakeCmd())
	add(groupLook, a.statusCmd(), a.lsCmd(), a.devicesCmd(), a.peersCmd(), a.whyCmd(), a.duCmd(), a.heatCmd(), a.ledgerCmd(), a.conflictsCmd(), a.resolveCmd(), a.quarantineCmd())
	add(groupBack, a.versionsCmd(), a.restoreCmd(), a.undoCmd())
	add(groupAround, a.relayCmd(), a.demoCmd(), a.doctorCmd(), a.versionCmd(), a.completionCmd())
	root.AddCommand(a.daemonCmd(), a.heraldCmd())
	return root
}

// defaultHomeText is the default home as the help shows it, the same for every user.
func defaultHomeText() string { return "~/.local/share/shelf" }
