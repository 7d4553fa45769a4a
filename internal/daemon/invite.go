package daemon

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/shelffs/shelf/internal/control"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/wire"
)

// invites are the invitations that somebody waits at.
type invites struct {
	d *daemon

	mu   sync.Mutex
	open map[*invitation]bool
}

type invitation struct {
	id     string
	host   control.InviteHost
	joined chan share.Device // capacity 1
}

// Invite implements control.Inviter.
func (d *daemon) Invite(ctx context.Context, req controlapi.InviteRequest, host control.InviteHost) (controlapi.Joined, error) {
	v := &d.invites
	token, err := d.account.NewInvite(req.TTL, inToken(d.ways()))
	if err != nil {
		return controlapi.Joined{}, err
	}
	in := &invitation{id: token.ID(), host: host, joined: make(chan share.Device, 1)}
	v.add(in)
	defer v.remove(in, token)
	d.host.GuestsOpen(true)
	err = host.Opened(controlapi.InviteToken{ID: in.id, Token: token.String(), Expires: token.Expires, Addrs: token.Addrs})
	if err != nil {
		return controlapi.Joined{}, err
	}
	ctx, cancel := context.WithDeadline(ctx, token.Expires)
	defer cancel()
	select {
	case dev := <-in.joined:
		return controlapi.Joined{Device: dev.ID.String(), Name: dev.Name}, nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return controlapi.Joined{}, controlapi.E(controlapi.KindToken, "make a new one: shelf invite", "the invitation has expired")
		}
		return controlapi.Joined{}, ctx.Err()
	}
}

// inToken shortens addresses for a token, which names the peer once for all of them.
func inToken(addrs []string) []string {
	var out []string
	for _, a := range addrs {
		a, _, _ = strings.Cut(a, "/p2p/")
		out = append(out, a)
	}
	return out
}

// resume lets a device that was admitted before a restart finish its join.
func (v *invites) resume() {
	v.d.host.HandleGuest(share.JoinProtocol, v.serve)
	v.d.host.GuestsOpen(v.d.account.Inviting())
}

func (v *invites) add(in *invitation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open == nil {
		v.open = map[*invitation]bool{}
	}
	v.open[in] = true
}

func (v *invites) remove(in *invitation, token share.Token) {
	if err := v.d.account.CancelInvite(token); err != nil && !errs.Is(err, errs.NotExist) {
		v.d.log.Warn("invitation not cancelled", "err", err)
	}
	v.mu.Lock()
	delete(v.open, in)
	v.mu.Unlock()
	v.d.host.GuestsOpen(v.d.account.Inviting())
}

func (v *invites) find(id string) *invitation {
	v.mu.Lock()
	defer v.mu.Unlock()
	for in := range v.open {
		if in.id == id {
			return in
		}
	}
	return nil
}

// serve answers one device that asks to join.
func (v *invites) serve(peer ident.TransportKey, s wire.Stream) {
	var in *invitation
	approve := func(ctx context.Context, who share.Asker) (bool, error) {
		if in = v.find(who.Invite); in == nil {
			return false, errs.E("daemon.invite", errs.NotExist, "nobody waits at this invitation", nil)
		}
		return in.host.Ask(ctx, controlapi.Asker{ID: who.Device.String(), Name: who.Name, Code: who.Code})
	}
	dev, err := v.d.account.ServeJoin(context.Background(), peer, s, approve)
	if !dev.ID.IsZero() {
		v.d.host.Refresh()
		if in != nil {
			in.joined <- dev
		}
		return
	}
	v.d.log.Info("nobody joined", "err", err)
	v.mu.Lock()
	waiting := slices.Collect(maps.Keys(v.open))
	v.mu.Unlock()
	for _, in := range waiting {
		in.host.Failed(controlapi.Describe(err))
	}
}
