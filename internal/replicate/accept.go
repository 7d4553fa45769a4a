package replicate

import (
	"context"
	"sync"

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
	_, theirs, err := receiveHello(s)
	if err != nil {
		return err
	}
	// If our own log is in doubt we receive all the same: that is what ends the doubt.
	if err := r.hear(dev, s, theirs); err != nil && !errs.Is(err, errs.Stale) {
		return err
	}
	ours := r.cfg.Records.Hello(dev)
	if err := send(s, msgHello, encodeHello(r.cfg.Members.Heads(), ours)); err != nil {
		return err
	}
	done := make(chan struct{})
	in := &receiver{r: r, dev: dev, s: s, audit: ours.Audit != namespace.NoAudit}
	go func() {
		defer close(done)
		in.acknowledge(ctx, ours.Claims)
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
	audit bool // our hello has announced one
	short bool // something was refused since the last delta began

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
			err = in.members(body)
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

func (in *receiver) members(body []byte) error {
	var entries [][]byte
	if err := wire.Unmarshal(body, &entries); err != nil {
		return err
	}
	members := in.r.cfg.Members
	if _, err := members.Merge(entries); err != nil {
		in.r.cfg.Log.Warn("membership entries refused", "device", in.dev.Short(), "err", err)
	}
	if !members.Member(in.dev) { // the entries may have ended the very device that brought them
		return errs.E("replicate.members", errs.Refused, in.dev.Short(), nil)
	}
	return nil
}

// acknowledge tells the pusher our durable claims whenever they have advanced, from whomever
// the records came: so nobody sends what we have.
func (in *receiver) acknowledge(ctx context.Context, said namespace.Claims) {
	for {
		changed := in.r.cfg.Records.Changed()
		if c := in.r.cfg.Records.Claims(); !said.Covers(c) {
			if in.send(msgAck, namespace.EncodeClaims(c)) != nil {
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
