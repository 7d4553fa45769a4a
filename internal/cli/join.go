package cli

import (
	"bufio"
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) joinCmd() *cobra.Command {
	var f startFlags
	cmd := &cobra.Command{
		Use:   "join TOKEN [MOUNTPOINT]",
		Short: "Make this device one of yours, by an invitation",
		Long: `Use an invitation that  shelf invite  printed on another device. Both show a short code;
when the person there has compared and accepted, this device receives the names and sizes of
all files (no contents), and keeps running. TOKEN may be - to read it from standard input.

A home that has an account with nothing in it, of this device alone, is put aside for the
joined one. Any other account is left alone.`,
		Args: argCount(1, 2, "an invitation, as printed by shelf invite"),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := a.token(args[0])
			if err != nil {
				return err
			}
			f.named = cmd.Flags().Changed("name")
			s, err := a.start(f)
			s.Via = config.ViaFUSE // it stays unmounted unless it is told where
			if err != nil {
				return err
			}
			s.Token, s.Mountpoint = token, ""
			if len(args) > 1 {
				if s.Mountpoint, err = absMountpoint(args[1]); err != nil {
					return err
				}
			}
			return a.join(cmd.Context(), s)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	f.register(cmd)
	return cmd
}

// token reads an invitation and refuses at once what cannot be one.
func (a *app) token(arg string) (string, error) {
	if arg == "-" {
		line, err := bufio.NewReader(io.LimitReader(a.Stdin, 64<<10)).ReadString('\n')
		if err != nil && line == "" {
			return "", controlapi.E(controlapi.KindToken, "", "no invitation on standard input")
		}
		arg = line
	}
	arg = strings.ToLower(strings.TrimSpace(arg)) // a QR code has it in capitals
	if !strings.HasPrefix(arg, "shelf-join-") {
		return "", controlapi.E(controlapi.KindToken, "it begins with shelf-join- and is printed by: shelf invite",
			"that is not an invitation")
	}
	return arg, nil
}

// join brings this home into the inviting account, putting an unused account aside.
func (a *app) join(ctx context.Context, s config.Start) error {
	old, err := a.existing(ctx, s)
	if err != nil {
		return err
	}
	var code controlapi.JoinCode
	ready, err := a.spawn(ctx, s, func(ev controlapi.StartEvent) {
		if ev.Code != nil {
			code = *ev.Code
		}
		a.joinEvent(ev)
	})
	if err != nil {
		old.restore(a, s)
		return joinError(err)
	}
	if m := old.mountpoint(); m != "" && s.Mountpoint == "" {
		if ready.Mount, err = a.mountAgain(ctx, m, s.AllowOther); err != nil {
			a.note("This device has joined, but could not be mounted at %s: %s", safe(m), safe(err.Error()))
		}
	}
	res := joinJSON{upResult(ready, "", false), code.Code, old.aside()}
	return a.emit(res, func() { a.showJoined(ready, old.aside()) })
}

type joinJSON struct {
	upJSON
	Code     string `json:"code"`
	Replaced string `json:"replaced"` // folder with the account that was put aside, or ""
}

// joinEvent tells a person how the joining goes on. With --json that is standard error's
// business too, since somebody may have to compare the code.
func (a *app) joinEvent(ev controlapi.StartEvent) {
	switch {
	case ev.Code != nil:
		at := "the inviting device"
		if ev.Code.Device != "" {
			at = "\"" + safe(ev.Code.Device) + "\""
		}
		a.note("Code:  %s\nIf %s shows the same code, accept there.", safe(ev.Code.Code), at)
	case ev.Progress == nil || a.json:
	case ev.Progress.Stage == controlapi.StageConnect:
		a.note("Looking for the inviting device.")
	case ev.Progress.Stage == controlapi.StageNamespace && ev.Progress.Files == 0:
		a.note("Accepted. Receiving names and sizes.")
	}
}

func (a *app) showJoined(r controlapi.Ready, aside string) {
	a.say("%q has joined: %s, %s%s.", safe(r.Device.Name), files(r.Files), size(r.Bytes), coming(r.Coming))
	for _, w := range r.Warnings {
		a.say("Note: %s", safe(sentence(w)))
	}
	if aside != "" {
		a.say("The unused account that was here is kept in %s.", safe(aside))
	}
	if r.Mount.Path == "" {
		a.say("To see them:  %s up", a.program())
		return
	}
	a.say("Mounted at %s. Contents come when a file is opened.", safe(r.Mount.Path))
}

// joinError gives errors about the invitation a kind of their own.
func joinError(err error) error {
	e := *controlapi.FromError(err)
	switch e.Kind {
	case "refused", "invalid", controlapi.KindDeclined:
		e.Kind = controlapi.KindToken
		if e.Hint == "" {
			e.Hint = "ask for a new one: shelf invite, on a device that is in already"
		}
	}
	return &e
}

// mountAgain mounts through the daemon that has just begun.
func (a *app) mountAgain(ctx context.Context, at string, others bool) (controlapi.Mount, error) {
	c, _, err := a.connect(ctx)
	if err != nil {
		return controlapi.Mount{}, err
	}
	defer c.Close()
	return c.Mount(ctx, controlapi.MountRequest{Path: at, AllowOther: others})
}
