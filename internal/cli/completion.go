package cli

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) completionCmd() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a script that teaches your shell to complete commands",
		Long: `Print a completion script. For example, for bash in this session:

  source <(shelf completion bash)

and for every session of zsh:

  shelf completion zsh > "${fpath[1]}/_shelf"`,
		Args:      argCount(1, 1, "the name of a shell"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return bashCompletion(root, a.Stdout)
			case "zsh":
				return root.GenZshCompletion(a.Stdout)
			case "fish":
				return root.GenFishCompletion(a.Stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.Stdout)
			}
			return usage("there are "+list(shells), "no completion for %q", args[0])
		},
	}
}

// bashCompletion is the usual script for a shell that takes an @ for the end of a word, which it
// is not in PATH@VERSION.
func bashCompletion(root *cobra.Command, w io.Writer) error {
	var b bytes.Buffer
	if err := root.GenBashCompletionV2(&b, true); err != nil {
		return err
	}
	const last = `__shelf_handle_special_char "$cur" =`
	_, err := strings.NewReplacer("-n =:", "-n =:@", last, last+"\n    "+strings.TrimSuffix(last, "=")+"@").WriteString(w, b.String())
	return err
}

// completionTime is how long a person who presses the tab key is kept waiting.
const completionTime = 2 * time.Second

// completeVersion completes PATH@VERSION: the path as a file, then the versions of it.
func (a *app) completeVersion(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	at := strings.LastIndexByte(word, '@')
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if at <= 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	v, err := a.versionsOf(ctx, word[:at])
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var out []cobra.Completion
	for _, x := range v.Versions {
		if c := word[:at+1] + x.ID; x.ID != "" && strings.HasPrefix(c, word) {
			out = append(out, cobra.CompletionWithDesc(c, "until "+when(x.Until)+", "+versionSize(x)+", "+ended(x, v.Path)))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeRun completes the number of a run, the newest first.
func (a *app) completeRun(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const nothing = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	var err error
	if a.home, err = config.FindHome(a.homeFlag); err != nil || len(args) > 0 { // flags are read late when completing
		return nil, nothing
	}
	c, _, err := a.connect(ctx)
	if err != nil {
		return nil, nothing
	}
	defer c.Close()
	l, err := c.Ledger(ctx, controlapi.LedgerRequest{})
	if err != nil {
		return nil, nothing
	}
	var out []cobra.Completion
	for _, r := range l.Runs {
		if n := strconv.FormatUint(r.Run, 10); r.Files > 0 && strings.HasPrefix(n, word) {
			out = append(out, cobra.CompletionWithDesc(n, programOf(r)+", "+files(r.Files)+", "+size(r.Read+r.Ahead+r.Pinned)))
		}
	}
	return out, nothing
}

func (a *app) versionsOf(ctx context.Context, arg string) (v controlapi.Versions, err error) {
	if a.home, err = config.FindHome(a.homeFlag); err != nil { // flags are read late when completing
		return v, err
	}
	c, st, err := a.connect(ctx)
	if err != nil {
		return v, err
	}
	defer c.Close()
	p, err := sharePath(arg, st.Mount.Path)
	if err != nil {
		return v, err
	}
	return c.Versions(ctx, p)
}
