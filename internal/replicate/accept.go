package replicate

import (
	"context"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

// accept serves one pusher until its stream ends.
func (r *Replicator) accept(dev ident.DeviceID, s wire.Stream) {
	defer s.Reset()
	if !r.admit(dev, s) {
		return
	}
	defer r.leave(dev, s)
	err := r.take(dev, s)
	r.cfg.Log.Debug("stream of records ended", "device", dev.Short(), "err", err)
}

// admit makes s the stream of dev; an older one ends.
func (r *Replicator) admit(dev ident.DeviceID, s wire.Stream) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !r.cfg.Members.Member(dev) {
		return false
	}
	if old := r.inbound[dev]; old != nil {
		_ = old.Reset()
	}
	r.inbound[dev] = s
	r.wg.Add(1)
	return true
}

func (r *Replicator) leave(dev ident.DeviceID, s wire.Stream) {
	r.mu.Lock()
	if r.inbound[dev] == s {
		delete(r.inbound, dev)
	}
	r.mu.Unlock()
	r.wg.Done()
}

func (r *Replicator) take(dev ident.DeviceID, s wire.Stream) error {
	if err := handshake(s, false, r.cfg.Self, dev, r.cfg.Blind); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ours := r.cfg.Records.Hello()
	if err := send(s, msgHello, encodeHello(r.cfg.Members.Heads(), ours)); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.acknowledge(ctx, s, ours.Claims)
	}()
	err := r.read(ctx, dev, s)
	cancel()
	_ = s.Reset() // acknowledge may be in a write
	<-done
	return err
}

// read takes frames until the stream ends. What is wrong with single records has been
// quarantined by Apply and does not end the session.
func (r *Replicator) read(ctx context.Context, dev ident.DeviceID, s wire.Stream) error {
	for {
		kind, body, err := receive(s)
		if err != nil {
			return err
		}
		switch kind {
		case msgMembers:
			err = r.members(dev, body)
		case msgRecords:
			if err = r.cfg.Records.Apply(ctx, dev, body); errs.Is(err, errs.Corrupt) {
				r.cfg.Log.Warn("records refused", "device", dev.Short(), "err", err)
				err = nil
			}
		case msgComplete:
			var c namespace.Claims
			if c, err = namespace.ParseClaims(body); err == nil {
				if _, err = r.cfg.Records.Complete(ctx, dev, c); err == nil {
					r.once.Do(func() { close(r.completed) })
				}
			}
		default:
			err = errs.E("replicate.read", errs.Protocol, "unknown message", nil)
		}
		if err != nil {
			return err
		}
	}
}

func (r *Replicator) members(dev ident.DeviceID, body []byte) error {
	var entries [][]byte
	if err := wire.Unmarshal(body, &entries); err != nil {
		return err
	}
	if _, err := r.cfg.Members.Merge(entries); err != nil {
		r.cfg.Log.Warn("membership entries refused", "device", dev.Short(), "err", err)
	}
	if !r.cfg.Members.Member(dev) { // the entries may have ended the very device that brought them
		return errs.E("replicate.members", errs.Refused, dev.Short(), nil)
	}
	return nil
}

// acknowledge tells the pusher our durable claims whenever they have advanced, from whomever
// the records came: so nobody sends what we have.
func (r *Replicator) acknowledge(ctx context.Context, s wire.Stream, said namespace.Claims) {
	for {
		changed := r.cfg.Records.Changed()
		if c := r.cfg.Records.Claims(); !said.Covers(c) {
			if send(s, msgAck, namespace.EncodeClaims(c)) != nil {
				return
			}
			said = c
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}
