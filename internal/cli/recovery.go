package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) recoveryCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recovery",
		Short: "Prove that the recovery phrase is written down",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknown(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(a.recoveryConfirmCmd(), a.recoveryStatusCmd())
	return cmd
}

func (a *app) recoveryConfirmCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "confirm",
		Short: "Compare a phrase on standard input with this account's",
		Args:  argCount(0, 0, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, _ []string) error {
			phrase, err := a.readPhrase(ctx)
			if err != nil {
				return err
			}
			if err := c.ConfirmRecovery(ctx, phrase); err != nil {
				return err
			}
			return a.emit(map[string]any{"confirmed": true}, func() {
				a.say("That is the phrase of this account. Keep it where nothing that befalls your devices can reach it.")
			})
		}),
	}
}

func (a *app) recoveryStatusCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell whether the phrase was confirmed",
		Args:  argCount(0, 0, ""),
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ controlapi.Status, _ []string) error {
			r, err := c.Recovery(ctx)
			if err != nil {
				return err
			}
			return a.emit(r, func() {
				if !r.Confirmed {
					a.say("The recovery phrase was not confirmed yet:  %s recovery confirm", a.program())
					return
				}
				when := ""
				if r.ConfirmedAt != nil {
					when = " on " + r.ConfirmedAt.Local().Format("2 January 2006")
				}
				a.say("The recovery phrase was confirmed%s.", when)
			})
		}),
	}
}

// words in a recovery phrase.
const phraseWords = 24

// readPhrase reads words, over as many lines as they take.
func (a *app) readPhrase(ctx context.Context) (string, error) {
	if isTerminal(a.Stdin) {
		a.note("Type the %d words, over as many lines as you like:", phraseWords)
		l, words := a.newLines(), []string(nil)
		for len(words) < phraseWords {
			s, ok, err := l.next(ctx)
			if err != nil {
				return "", err
			}
			if !ok {
				break
			}
			words = append(words, phraseFields(s)...)
		}
		return strings.Join(words, " "), nil
	}
	b, err := io.ReadAll(io.LimitReader(bufio.NewReader(a.Stdin), 4096))
	if err != nil {
		return "", err
	}
	return strings.Join(phraseFields(string(b)), " "), nil
}

// phraseFields are the words of a text; the numbers that a person may have copied with them
// are left out.
func phraseFields(s string) []string {
	return slices.DeleteFunc(strings.Fields(strings.ToLower(s)), func(w string) bool {
		return strings.Trim(w, "0123456789.:)") == ""
	})
}

// showPhrase prints the phrase in numbered columns.
func (a *app) showPhrase(phrase string) {
	words := strings.Fields(phrase)
	const columns = 4
	rows := (len(words) + columns - 1) / columns
	a.say("Your recovery phrase, shown this once. Write it on paper, in order: whoever")
	a.say("has it can open everything; if all your devices are lost, nothing else can.\n")
	for r := range rows {
		var b strings.Builder
		for i := r; i < len(words); i += rows {
			fmt.Fprintf(&b, "  %2d %-10s", i+1, words[i])
		}
		a.say("  %s", strings.TrimRight(b.String(), " "))
	}
	a.say("")
}

// confirmNow asks for three words of the phrase where there is a person to ask. It is never
// a reason to fail: what is skipped can be done later.
func (a *app) confirmNow(ctx context.Context, phrase string) {
	if !a.asksPerson() {
		return
	}
	words := strings.Fields(phrase)
	pick := rand.Perm(len(words))[:3]
	slices.Sort(pick)
	a.note("To be sure it is written down, three of its words please (Enter skips this).")
	l := a.newLines()
	for _, i := range pick {
		for {
			fmt.Fprintf(a.Stderr, "  word %d: ", i+1)
			s, ok, err := l.next(ctx)
			if err != nil || !ok || s == "" {
				a.note("Skipped. Later:  %s recovery confirm\n", a.program())
				return
			}
			if strings.EqualFold(s, words[i]) {
				break
			}
			a.note("  That is not word %d.", i+1)
		}
	}
	c := client.New(a.home.Socket())
	defer c.Close()
	if err := c.ConfirmRecovery(ctx, phrase); err != nil {
		a.note("The words are right, but that could not be recorded: %s\n", err)
		return
	}
	a.note("All three are right.\n")
}
