package daemon

import (
	"context"
	"errors"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/share"
)

// join makes this home a device of the account that invited it.
func (p *parts) join(ctx context.Context, s config.Start, via Via, emit func(controlapi.StartEvent)) (*share.Account, error) {
	token, err := share.ParseToken(s.Token)
	if err != nil {
		return nil, tokenError(err)
	}
	j, err := share.NewJoiner(p.meta, token, s.Name, share.Options{Log: p.log})
	if err != nil {
		return nil, tokenError(err)
	}
	emit(controlapi.ProgressEvent(controlapi.StartProgress{Stage: controlapi.StageConnect}))
	stream, done, err := via.Knock(ctx, j.TransportKey(), token, s, p.log)
	if err != nil {
		return nil, controlapi.WithHint(errs.E("daemon.join", errs.Offline, "the inviting device", err),
			"is it on, connected, and is `shelf invite` still waiting there?")
	}
	defer done()
	a, err := j.Join(ctx, stream, func(code string) {
		emit(controlapi.CodeEvent(controlapi.JoinCode{Code: code}))
		emit(controlapi.ProgressEvent(controlapi.StartProgress{Stage: controlapi.StageApproval}))
	})
	if err != nil {
		return nil, tokenError(err)
	}
	// Where the inviter was found, it is to be found again.
	for _, dev := range a.Devices() {
		if dev.Transport == token.Inviter {
			addrBook{p.meta}.Store(dev.ID, token.Addrs)
		}
	}
	return a, nil
}

// tokenError makes a refusal by the protocol one that people understand as such.
func tokenError(err error) error {
	var reason share.Reason
	if errors.As(err, &reason) || errs.Is(err, errs.Invalid) || errs.Is(err, errs.Unsupported) {
		return controlapi.E(controlapi.KindToken, "make a new one on a device of the account: shelf invite", "%s", controlapi.Describe(err))
	}
	return err
}
