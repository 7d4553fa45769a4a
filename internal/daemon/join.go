package daemon

import (
	"context"
	"errors"
	"time"

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
		return nil, p.unreached(err, token)
	}
	defer done()
	answered := false
	a, err := j.Join(ctx, stream, func(code string) {
		answered = true
		emit(controlapi.CodeEvent(controlapi.JoinCode{Code: code}))
		emit(controlapi.ProgressEvent(controlapi.StartProgress{Stage: controlapi.StageApproval}))
	})
	if !answered && errs.Is(err, errs.Offline) { // hung up on without a word, as strangers are
		return nil, p.unreached(errs.E("daemon.join", errs.Refused, "", err), token)
	}
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

// unreached words a search for the inviting device that failed. What was tried at which address goes to the log.
// The time of the invitation is the inviting device's to judge, by its own clock; ours only gives a hint.
func (p *parts) unreached(err error, t share.Token) error {
	if errs.Is(err, errs.Interrupted) {
		return err
	}
	p.log.Info("the inviting device was not reached", "err", err)
	late := ""
	if t.Expired(time.Now()) {
		late = "; by the clock of this device it has expired"
	}
	if errs.Is(err, errs.Refused) {
		return controlapi.E(controlapi.KindToken, "make a new one there: shelf invite (and let it wait)",
			"the inviting device is there, but does not wait for anybody with this invitation%s", late)
	}
	return controlapi.E(controlapi.SlugOf(errs.Offline), "is it on, on the same network as this one, and does `shelf invite` still wait there? The log has more: "+p.home.LogFile(),
		"the device that made this invitation cannot be reached%s", late)
}

// tokenError makes a refusal by the protocol one that people understand as such.
func tokenError(err error) error {
	var reason share.Reason
	if errors.As(err, &reason) || errs.Is(err, errs.Invalid) || errs.Is(err, errs.Unsupported) {
		return controlapi.E(controlapi.KindToken, "make a new one on a device of the account: shelf invite", "%s", controlapi.Describe(err))
	}
	return err
}
