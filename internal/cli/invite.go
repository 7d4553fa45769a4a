package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) inviteCmd() *cobra.Command {
	var auto, qr, noQR bool
	ttl := 24 * time.Hour
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Let another device of yours join",
		Long: `Print an invitation for one device, wait for the device that uses it, show its name and
a short code to compare with what it shows, and ask. No key leaves this device before the
answer is yes. Ctrl-C cancels the invitation.`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ttl < time.Second || ttl > 7*24*time.Hour {
				return usage("", "an invitation is valid for one second to seven days, not %s", ttl)
			}
			if qr && noQR {
				return usage("", "--qr and --no-qr exclude each other")
			}
			show := qrIfItFits
			switch {
			case qr:
				show = qrAlways
			case noQR:
				show = qrNever
			}
			return a.invite(cmd.Context(), controlapi.InviteRequest{TTL: ttl, Auto: auto}, show)
		},
	}
	cmd.Flags().BoolVar(&auto, "yes", false, "accept the first device that asks, without a question (for scripts)")
	cmd.Flags().DurationVar(&ttl, "ttl", ttl, "`time` for which it is valid")
	cmd.Flags().BoolVar(&qr, "qr", false, "print a QR code, also where it does not fit or is no terminal")
	cmd.Flags().BoolVar(&noQR, "no-qr", false, "print no QR code")
	return cmd
}

func (a *app) invite(ctx context.Context, q controlapi.InviteRequest, qr qrWhen) error {
	c, st, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	v := &invitation{app: a, c: c, auto: q.Auto, qr: qr, from: st.Device.Name}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	v.abort = cancel
	joined, err := c.Invite(inner, q, func(ev controlapi.InviteEvent) error { return v.event(inner, ev) })
	if err != nil {
		return v.failed(ctx, inner, err)
	}
	return a.emit(map[string]any{"joined": joined}, func() {
		a.say("%q has joined.", safe(joined.Name))
	})
}

// invitation is one that a person sees.
type invitation struct {
	*app
	c     *client.Client
	auto  bool
	qr    qrWhen
	from  string // name of this device
	id    string
	lines *lines
	abort context.CancelCauseFunc
}

func (v *invitation) event(ctx context.Context, ev controlapi.InviteEvent) error {
	if v.json {
		if ev.Token != nil { // the contract: fields of the token at the top
			v.id = ev.Token.ID
			if err := writeJSON(v.Stdout, ev.Token); err != nil {
				return err
			}
		} else if err := writeJSON(v.Stdout, ev); err != nil {
			return err
		}
	}
	switch {
	case ev.Token != nil && !v.json:
		v.id = ev.Token.ID
		v.show(*ev.Token)
	case ev.Failed != nil && !v.json:
		v.note("An attempt to join failed: %s", safe(sentence(ev.Failed.Message)))
	case ev.Asker != nil:
		v.asker(ctx, *ev.Asker)
	}
	return nil
}

func (v *invitation) show(t controlapi.InviteToken) {
	v.say("Invitation from %q for one device, valid until %s.\n", safe(v.from), t.Expires.Local().Format("2 January 15:04"))
	v.showQR(t.Token)
	v.say("On the other device run:\n\n  shelf join %s\n", safe(t.Token))
	v.say("Waiting for it; Ctrl-C cancels the invitation.")
}

// asker shows who asks, and lets the person decide while the stream goes on.
func (v *invitation) asker(ctx context.Context, k controlapi.Asker) {
	if v.auto {
		if !v.json {
			v.say("\n%q asks to join (code %s) and is let in, as --yes says.", safe(k.Name), safe(k.Code))
		}
		return
	}
	if v.lines == nil {
		v.lines = v.newLines()
	}
	go func() {
		if !v.json {
			v.say("\n%q asks to join. It must show this code:  %s", safe(k.Name), safe(k.Code))
		}
		ok, err := v.yes(ctx, v.lines, "Let it in?")
		if err != nil {
			return
		}
		err = v.c.AnswerInvite(ctx, controlapi.InviteAnswer{Invite: v.id, Asker: k.ID, Approve: ok})
		switch {
		case isKind(err, "not_exist"):
			v.note("It has gone. The invitation stays open.")
		case err != nil:
			v.abort(err)
		case !ok:
			v.abort(controlapi.E(controlapi.KindDeclined, "a new one: "+v.program()+" invite",
				"%q was not let in; the invitation is cancelled", k.Name))
		}
	}()
}

// failed words the end of an invitation that nobody used.
func (v *invitation) failed(ctx, inner context.Context, err error) error {
	if ctx.Err() != nil {
		return controlapi.E("interrupted", "", "the invitation is cancelled")
	}
	if cause := context.Cause(inner); cause != nil {
		return cause
	}
	return err
}
