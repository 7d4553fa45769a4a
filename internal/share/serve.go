package share

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// Asker is a device that has shown a good token and waits to be let in.
type Asker struct {
	Invite    string // Token.ID of the invitation
	Device    ident.DeviceID
	Transport ident.TransportKey
	Name      string // what it calls itself; safe to print
	Code      string // six digits, "123 456": the same as on the asker's screen if nobody is in between
}

// Approve asks a person whether to let a device in. It returns soon after ctx ends, which
// happens when the asker goes away. An error counts as no.
type Approve func(ctx context.Context, who Asker) (bool, error)

// ServeJoin answers one device that asks to join; peer is the transport key that the
// stream's other end has proved. It ends the stream. The device is admitted, durably and
// together with the end of its token, only after approve said yes; one person is asked
// about one device at a time. Many calls may run at once.
//
// If the device was admitted, ServeJoin returns it, with an error if the device could not
// be told: it can come back with the same token to finish. Otherwise the error wraps the
// Reason that the asker was given, or is Offline or Timeout if it went away.
func (a *Account) ServeJoin(ctx context.Context, peer ident.TransportKey, s wire.Stream, approve Approve) (Device, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()

	h := &host{a: a, ctx: ctx, talk: newTalk(s, a.Self().Transport, peer), peer: peer}
	dev, err := h.serve(approve)
	if err == nil {
		_ = s.Close()
		return dev, nil
	}
	if dev.ID.IsZero() {
		h.refuse(err)
	}
	_ = s.Reset()
	return dev, errs.E("share.ServeJoin", errs.Other, "", err)
}

// host is the inviting side of one conversation.
type host struct {
	*talk
	a    *Account
	ctx  context.Context
	peer ident.TransportKey
	id   inviteID
	next chan frame // what the asker sends after its offer; nil before
}

type frame struct {
	payload, mac []byte
	err          error
}

func (h *host) serve(approve Approve) (Device, error) {
	if !h.a.guests.enter() {
		return Device{}, refused("share.serve", TooMany)
	}
	defer h.a.guests.leave()
	_ = h.s.SetDeadline(time.Now().Add(stepTime))
	commit, err := h.hello()
	if err != nil {
		return Device{}, err
	}
	var nonce [nonceLen]byte
	rand.Read(nonce[:])
	if err := h.send(h.give, nonce[:]); err != nil {
		return Device{}, err
	}
	code := h.shortCode()
	dev, err := h.offer(commit)
	if err != nil {
		return Device{}, err
	}
	h.listen()
	admitted, err := h.admit(dev, code, approve)
	if err != nil {
		return Device{}, err
	}
	return admitted, h.finish()
}

// hello reads the first message and finds the invitation that it names. It returns the
// hash of the keys that the asker will offer.
func (h *host) hello() (commit [32]byte, err error) {
	const op = "share.hello"
	payload, mac, err := h.receive(helloLen)
	if err != nil {
		return commit, err
	}
	if len(payload) < 1 || payload[0] != joinVersion {
		return commit, refused(op, OtherVersion)
	}
	if len(payload) != helloLen {
		return commit, refused(op, Malformed)
	}
	h.id = inviteID(payload[1:])
	row, err := h.a.invite(h.id)
	if err == nil {
		err = h.usable(row)
	}
	if err != nil {
		return commit, err
	}
	h.unlock(row.Secret)
	return [32]byte(payload[helloLen-32:]), h.check(h.ask, payload, mac)
}

// usable reports why the asker cannot come in with an invitation, if so. One that has let
// a device in is good for that device alone, until it is complete.
func (h *host) usable(row inviteRow) error {
	const op = "share.usable"
	switch row.State {
	case inviteOpen:
		if h.a.opt.Clock().Unix() >= row.Expires {
			return refused(op, TokenExpired)
		}
		return nil
	case inviteAdmitted:
		if id, ok := h.a.Allowed(h.peer); ok && bytes.Equal(id[:], row.Device) {
			return nil
		}
	}
	return refused(op, TokenUsed)
}

// offer reads and verifies the asker's keys.
func (h *host) offer(commit [32]byte) (*devicePayload, error) {
	const op = "share.offer"
	before := h.transcript
	payload, err := h.expect(h.ask, maxOffer)
	if err != nil {
		return nil, err
	}
	var msg offerMsg
	if wire.Unmarshal(payload, &msg) != nil || sha256.Sum256(msg.Device) != commit {
		return nil, refused(op, Malformed)
	}
	p, _, err := parsePayload(accountLog, kindAdd, msg.Device)
	if err != nil {
		return nil, refused(op, Malformed)
	}
	dev := p.(*devicePayload)
	signed := talk{transcript: before}
	if !ident.Verify(dev.Signing, ident.SigJoin, signed.proofBody(msg.Device), msg.Sig) {
		return nil, refused(op, Unproven)
	}
	if !bytes.Equal(dev.Transport, h.peer[:]) {
		return nil, refused(op, Unproven) // somebody passes on what another device says
	}
	return dev, nil
}

// listen begins to read ahead, so that an asker that goes away is noticed while a person
// thinks.
func (h *host) listen() {
	_ = h.s.SetDeadline(time.Now().Add(personTime + stepTime))
	h.next = make(chan frame, 1)
	go func() {
		var f frame
		f.payload, f.mac, f.err = h.receive(0)
		h.next <- f
	}()
}

// refuse tells the asker why, and waits a moment for it to hang up, so that the refusal
// arrives before the stream ends.
func (h *host) refuse(err error) {
	var why Reason
	if !errors.As(err, &why) {
		switch errs.KindOf(err) {
		case errs.Offline, errs.Timeout, errs.Interrupted:
			return // it has gone, or this device is stopping
		}
		why = Failed
	}
	_ = h.s.SetDeadline(time.Now().Add(hangUpTime))
	if wire.WriteFrame(h.s, []byte{byte(why)}) != nil || h.s.CloseWrite() != nil {
		return
	}
	if h.next != nil {
		<-h.next
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(h.s, maxOffer))
}

// admit asks the person and admits the device, or finds that it was admitted before.
func (h *host) admit(dev *devicePayload, code string, approve Approve) (Device, error) {
	const op = "share.admit"
	id := ident.DeviceID(dev.Signing)
	if done, ok := h.a.resumed(h.id, id); ok {
		return done, nil
	}
	ctx, cancel := context.WithTimeout(h.ctx, personTime)
	defer cancel()
	gone := make(chan struct{})
	over := make(chan struct{})
	defer close(over)
	go func() { // nothing may come before the verdict: whatever comes ends the wait
		select {
		case f := <-h.next:
			h.next <- f
			close(gone)
			cancel()
		case <-over:
		}
	}()
	left := func() error {
		if err := h.ctx.Err(); err != nil {
			return errs.E(op, errs.Other, "", err)
		}
		select {
		case <-gone:
			f := <-h.next
			h.next <- f
			if f.err == nil {
				return refused(op, Malformed)
			}
			return f.err
		default:
			return refused(op, Declined)
		}
	}
	select {
	case h.a.guests.turn <- struct{}{}:
		defer func() { <-h.a.guests.turn }()
	case <-ctx.Done():
		return Device{}, left()
	}
	if _, err := h.a.openInvite(h.id); err != nil {
		return Device{}, err // another asker was let in meanwhile, or the invitation withdrawn
	}
	if !h.a.guests.ask(h.id) {
		return Device{}, refused(op, TooMany)
	}
	yes, err := approve(ctx, Asker{Invite: h.id.text(), Device: id, Transport: h.peer, Name: dev.Name, Code: code})
	if ctx.Err() != nil {
		return Device{}, left()
	}
	if err != nil || !yes {
		return Device{}, refused(op, Declined)
	}
	return h.a.letIn(h.id, dev)
}

// finish hands over the logs and waits for the new device to have them. The admission
// stands whatever happens here.
func (h *host) finish() error {
	const op = "share.finish"
	frames := packEntries(h.a.EntriesSince(nil))
	account, share := h.a.AccountID(), h.a.ShareID()
	_ = h.s.SetDeadline(time.Now().Add(finishTime))
	if err := h.send(h.give, wire.Marshal(verdictMsg{Account: account[:], Share: share[:], Frames: uint32(len(frames))})); err != nil {
		return err
	}
	for _, f := range frames {
		if err := h.send(h.give, f); err != nil {
			return err
		}
	}
	var f frame
	select {
	case f = <-h.next:
	case <-h.ctx.Done():
		return errs.E(op, errs.Other, "", h.ctx.Err())
	}
	if f.err != nil {
		return f.err
	}
	if err := h.check(h.ask, f.payload, f.mac); err != nil {
		return err
	}
	h.a.mu.Lock()
	defer h.a.mu.Unlock()
	row, err := h.a.invite(h.id)
	if err != nil {
		return err
	}
	row.State, row.Secret = inviteDone, []byte{}
	return h.a.putInvite(h.id, &row)
}
