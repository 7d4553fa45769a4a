package replicate

import (
	"context"
	"sync"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/wire"
)

// served is a stream by which a device brings us up to date, and when that has ended.
type served struct {
	s     wire.Stream
	ended chan struct{}
}

// accept serves one pusher until its stream ends.
func (r *Replicator) accept(dev ident.DeviceID, s wire.Stream) {
	defer s.Reset()
	in := r.admit(dev, s)
	if in == nil {
		return
	}
	defer r.leave(dev, in)
	err := handshake(s, false, r.cfg.Self, dev, r.cfg.Blind)
	if err == nil {
		err = r.take(dev, s)
	}
	r.cfg.Log.Debug("stream of records ended", "device", dev.Short(), "err", err)
}

// admit makes s the stream of dev. An older one ends first, or a frame of it might count as one of
// the session that begins.
func (r *Replicator) admit(dev ident.DeviceID, s wire.Stream) *served {
	for {
		r.mu.Lock()
		if r.closed || !r.cfg.Members.Member(dev) {
			r.mu.Unlock()
			return nil
		}
		old := r.inbound[dev]
		if old == nil {
			in := &served{s, make(chan struct{})}
			r.inbound[dev] = in
			r.wg.Add(1)
			r.mu.Unlock()
			return in
		}
		r.mu.Unlock()
		_ = old.s.Reset()
		<-old.ended // it waits for no one but the store
	}
}

func (r *Replicator) leave(dev ident.DeviceID, in *served) {
	r.mu.Lock()
	if r.inbound[dev] == in {
		delete(r.inbound, dev)
	}
	r.mu.Unlock()
	close(in.ended)
	r.wg.Done()
}

// take receives over a stream whose other end has proven to be dev.
func (r *Replicator) take(dev ident.DeviceID, s wire.Stream) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	theirs, err := receiveHello(s)
	if err != nil {
		return err
	}
	// If our own log is in doubt we receive all the same: that is what ends the doubt.
	if err := r.hear(dev, s, theirs, true); err != nil && !errs.Is(err, errs.Stale) {
		return err
	}
	ours := r.cfg.Records.Hello(dev)
	if err := send(s, msgHello, encodeHello(r.greet(dev, ours))); err != nil {
		return err
	}
	done := make(chan struct{})
	in := &receiver{r: r, dev: dev, s: s, heads: theirs.heads, audit: ours.Audit != namespace.NoAudit}
	go func() {
		defer close(done)
		in.acknowledge(ctx)
	}()
	err = in.read(ctx)
	cancel()
	_ = s.Reset() // acknowledge may be in a write
	<-done
	return err
}

// receiver is one stream by which a device brings us up to date.
type receiver struct {
	r     *Replicator
	dev   ident.DeviceID
	s     wire.Stream
	heads []share.Hash // what the pusher has of the membership log, as far as we know
	audit bool         // our hello has announced one
	short bool         // something was refused since the last delta began

	writing sync.Mutex // of frames to the stream
}

func (in *receiver) send(kind byte, body []byte) error {
	in.writing.Lock()
	defer in.writing.Unlock()
	return send(in.s, kind, body)
}

// read takes frames until the stream ends. What is wrong with single records has been
// quarantined by Apply; the session ends with the delta, and the next begins where this one stands.
func (in *receiver) read(ctx context.Context) error {
	records := in.r.cfg.Records
	for {
		kind, body, err := receive(in.s)
		if err != nil {
			return err
		}
		switch kind {
		case msgMembers:
			_, err = in.r.merge(in.dev, body)
		case msgRecords:
			err = in.tolerate(records.Apply(ctx, in.dev, body))
		case msgComplete:
			err = in.complete(ctx, body)
		default:
			err = errs.E("replicate.read", errs.Protocol, "unknown message", nil)
		}
		if err != nil {
			return err
		}
	}
}

// tolerate lets the delta go on after bad records.
func (in *receiver) tolerate(err error) error {
	if errs.Is(err, errs.Corrupt) {
		in.short = true
		in.r.cfg.Log.Warn("records refused", "device", in.dev.Short(), "err", err)
		return nil
	}
	return err
}

func (in *receiver) complete(ctx context.Context, body []byte) error {
	end, err := namespace.ParseEnd(body)
	if err != nil {
		return err
	}
	if _, err := in.r.cfg.Records.Complete(ctx, in.dev, end); err != nil {
		return err
	}
	in.r.once.Do(func() { close(in.r.completed) })
	if in.audit {
		in.audit = false
		if err := in.compare(ctx, end); err != nil {
			return err
		}
	}
	in.r.renew(nil)
	if in.short { // the pusher takes for known here what was refused, and would go on from there
		return errs.E("replicate.complete", errs.Corrupt, "records were refused", nil)
	}
	return nil
}

// compare makes the audit that our hello has announced.
func (in *receiver) compare(ctx context.Context, end namespace.End) error {
	a := in.r.cfg.Records.Audit(in.dev, end)
	if a == nil { // the need has passed
		return in.send(msgDone, nil)
	}
	for q := a.Question(); q != nil; q = a.Question() {
		if err := in.send(msgAsk, q); err != nil {
			return err
		}
		kind, body, err := receive(in.s)
		if err == nil && kind != msgAnswer {
			err = errs.E("replicate.audit", errs.Protocol, "answer expected", nil)
		}
		if err == nil {
			err = a.Hear(body)
		}
		if err != nil {
			return err
		}
	}
	if want := a.Wanted(); len(want) > 0 {
		if err := in.repair(ctx, a, want); err != nil {
			return err
		}
	}
	n, err := a.End()
	if err != nil {
		return err
	}
	if n > 0 {
		in.r.cfg.Log.Warn("an audit found differences", "device", in.dev.Short(), "records", n)
	}
	return in.send(msgDone, nil)
}

// repair has records sent that should be here.
func (in *receiver) repair(ctx context.Context, a *namespace.Audit, want []namespace.Dot) error {
	for len(want) > 0 {
		n := min(len(want), namespace.MaxRecords)
		if err := in.send(msgWant, namespace.EncodeDots(want[:n])); err != nil {
			return err
		}
		want = want[n:]
		for {
			kind, body, err := receive(in.s)
			if err != nil {
				return err
			}
			if kind == msgAnswer {
				break
			}
			if kind != msgRepair {
				return errs.E("replicate.audit", errs.Protocol, "repair expected", nil)
			}
			if err := in.tolerate(a.Repair(ctx, body)); err != nil {
				return err
			}
		}
	}
	return nil
}

// acknowledge tells the pusher our durable claims, and whenever they have advanced, from whomever
// the records came: so nobody sends what we have. Whom we know goes before: else a removal might be forgotten that
// we know, and a device that we have let in does not.
func (in *receiver) acknowledge(ctx context.Context) {
	var said namespace.Claims
	for {
		changed := in.r.cfg.Records.Changed()
		if c := in.r.cfg.Records.Claims(); !said.Covers(c) {
			if in.bringMembers() != nil || in.send(msgAck, namespace.EncodeClaims(c)) != nil {
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

func (in *receiver) bringMembers() (err error) {
	in.heads, err = in.r.bringMembers(in.heads, func(body []byte) error { return in.send(msgMembers, body) })
	return err
}
