package cli

import (
	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/fs/herald"
)

// heraldCmd is what a daemon starts to have programs hear of what other devices change.
func (a *app) heraldCmd() *cobra.Command {
	return &cobra.Command{
		Use:    "herald",
		Short:  "Make events for programs that watch folders (started by the daemon)",
		Hidden: true,
		Args:   argCount(0, 0, ""),
		RunE:   func(*cobra.Command, []string) error { return herald.Help(a.Stdin, a.Stdout) },
	}
}
