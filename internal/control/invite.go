package control

import (
	"context"
	"net/http"
	"sync"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

type inviteStream = stream[controlapi.InviteEvent, controlapi.Joined]

// invite keeps an invitation open for as long as the request lasts.
func (h *handler) invite(w http.ResponseWriter, r *http.Request) {
	q, err := body[controlapi.InviteRequest](w, r)
	if err == nil && q.TTL <= 0 {
		err = errs.E("control.invite", errs.Invalid, "lifetime of the invitation", nil)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	s := newStream[controlapi.InviteEvent, controlapi.Joined](w)
	s.end(h.d.Invite(r.Context(), q, &inviteHost{s: s, asks: h.asks, auto: q.Auto}))
}

// inviteHost is an InviteHost at the other end of a stream.
type inviteHost struct {
	s    *inviteStream
	asks *asks
	auto bool

	mu     sync.Mutex
	invite string // id, known once Opened was called
}

func (v *inviteHost) Opened(t controlapi.InviteToken) error {
	v.mu.Lock()
	v.invite = t.ID
	v.mu.Unlock()
	return v.s.event(controlapi.InviteEvent{Token: &t})
}

func (v *inviteHost) Failed(message string) {
	_ = v.s.event(controlapi.InviteEvent{Failed: &controlapi.InviteFail{Message: message}})
}

func (v *inviteHost) Ask(ctx context.Context, a controlapi.Asker) (bool, error) {
	v.mu.Lock()
	key := askKey{v.invite, a.ID}
	v.mu.Unlock()
	if v.auto {
		return true, v.s.event(controlapi.InviteEvent{Asker: &a})
	}
	answer, forget := v.asks.open(key)
	defer forget()
	if err := v.s.event(controlapi.InviteEvent{Asker: &a}); err != nil {
		return false, err
	}
	select {
	case yes := <-answer:
		return yes, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

type askKey struct{ invite, asker string }

// asks are the questions that wait for a person.
type asks struct {
	mu      sync.Mutex
	waiting map[askKey]chan bool
}

func newAsks() *asks { return &asks{waiting: map[askKey]chan bool{}} }

func (a *asks) open(k askKey) (answer <-chan bool, forget func()) {
	c := make(chan bool, 1)
	a.mu.Lock()
	a.waiting[k] = c
	a.mu.Unlock()
	return c, func() {
		a.mu.Lock()
		if a.waiting[k] == c {
			delete(a.waiting, k)
		}
		a.mu.Unlock()
	}
}

// answer hands over a decision. NotExist: nobody waits for it any more.
func (a *asks) answer(q controlapi.InviteAnswer) error {
	k := askKey{q.Invite, q.Asker}
	a.mu.Lock()
	c := a.waiting[k]
	delete(a.waiting, k)
	a.mu.Unlock()
	if c == nil {
		return errs.E("control.answer", errs.NotExist, "the device that asked to join has gone", nil)
	}
	c <- q.Approve
	return nil
}
