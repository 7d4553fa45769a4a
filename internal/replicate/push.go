package replicate

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/wire"
)

// pusher is one stream by which we bring a device up to date.
type pusher struct {
	r     *Replicator
	dev   ident.DeviceID
	s     wire.Stream
	told  bool // a first delta is complete, be it an empty one
	first namespace.Hello
	ends  []namespace.ChainEnd // the logs that a delta has told
	why   error                // what ended readAcks, once it has
	heads []share.Hash         // what the receiver has of the membership log, as far as we know

	mu     sync.Mutex
	theirs namespace.Claims // what the receiver claims, or will when it has read what we sent
	acked  chan struct{}    // closed and replaced when theirs grew by an acknowledgement

	audit chan message // what the receiver asks while it compares
}

type message struct {
	kind byte
	body []byte
}

// opened notes that a stream pushes, or does no more.
func (r *Replicator) opened(s wire.Stream, on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if on {
		r.pushed[s] = true
	} else {
		delete(r.pushed, s)
	}
}

// push opens a stream to dev and keeps it up to date until the stream breaks or ctx ends.
func (r *Replicator) push(ctx context.Context, dev ident.DeviceID) error {
	s, err := r.cfg.Network.Open(ctx, dev, Protocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	if err := handshake(s, true, r.cfg.Self, dev, r.cfg.Blind); err != nil {
		return err
	}
	return r.pushOver(ctx, dev, s)
}

// pushOver is push over a stream whose other end has proven to be dev. That the stream is reset when ctx ends
// is up to the caller.
func (r *Replicator) pushOver(ctx context.Context, dev ident.DeviceID, s wire.Stream) error {
	r.opened(s, true)
	defer r.opened(s, false)
	if err := send(s, msgHello, encodeHello(r.greet(dev, r.cfg.Records.Hello(dev)))); err != nil {
		return err
	}
	g, err := receiveHello(s)
	if err != nil {
		return err
	}
	theirs := g.records
	if err := r.hear(dev, s, g, false); err != nil && (!errs.Is(err, errs.Stale) || theirs.Doubt == (ident.Writer{})) {
		return err // our own log may be in doubt: nothing is pushed before, but what ends a doubt of theirs
	}
	p := &pusher{r: r, dev: dev, s: s, heads: g.heads, first: theirs, theirs: theirs.Claims, acked: make(chan struct{}), audit: make(chan message)}
	ended := make(chan struct{})
	reading, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(ended)
		p.why = p.readAcks(reading)
	}()
	err = p.loop(ctx, ended)
	stop()
	_ = s.Reset() // ends readAcks, which must not outlive the store that it writes to
	<-ended
	return err
}

// loop sends what is new, then waits for something new.
func (p *pusher) loop(ctx context.Context, ended <-chan struct{}) error {
	for {
		records, members := p.r.cfg.Records.Changed(), p.r.cfg.Members.Changed()
		theirs, acked := p.known()
		if err := p.bring(ctx, theirs, ended); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return p.why
		case <-records:
		case <-members:
		case <-acked:
		}
	}
}

func (p *pusher) known() (namespace.Claims, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.theirs, p.acked
}

// bring sends one delta, if there is one. The membership entries are read after the delta was
// begun, so that every writer in it is known by them.
func (p *pusher) bring(ctx context.Context, theirs namespace.Claims, ended <-chan struct{}) error {
	cfg := &p.r.cfg
	if p.told && theirs.Covers(cfg.Records.Claims()) {
		return p.bringMembers()
	}
	needs := namespace.Hello{Claims: theirs, Ends: p.ends}
	if !p.told {
		needs = p.first // with the progress of a session that was cut
	}
	d, err := cfg.Records.Since(ctx, needs)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := p.bringMembers(); err != nil {
		return err
	}
	for {
		f, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := send(p.s, msgRecords, f); err != nil {
			return err
		}
	}
	if err := send(p.s, msgComplete, d.End().Encode()); err != nil {
		return err
	}
	if !p.told && p.first.Audit != namespace.NoAudit {
		if err := p.answer(ctx, d, ended); err != nil {
			return err
		}
	}
	p.told, p.ends = true, d.Ends()
	p.mu.Lock()
	p.theirs = p.theirs.Join(d.End().Claims)
	p.mu.Unlock()
	return nil
}

// answer serves the receiver's audit from the delta just sent.
func (p *pusher) answer(ctx context.Context, d *namespace.Delta, ended <-chan struct{}) error {
	for {
		var m message
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return p.why
		case m = <-p.audit:
		}
		switch m.kind {
		case msgDone:
			return nil
		case msgAsk:
			a, err := d.Answer(m.body)
			if err == nil {
				err = send(p.s, msgAnswer, a)
			}
			if err != nil {
				return err
			}
		case msgWant:
			if err := p.repair(d, m.body); err != nil {
				return err
			}
		}
	}
}

func (p *pusher) repair(d *namespace.Delta, body []byte) error {
	want, err := namespace.ParseDots(body)
	if err != nil {
		return err
	}
	frames, err := d.Fetch(want)
	if err != nil {
		return err
	}
	for _, f := range frames {
		if err := send(p.s, msgRepair, f); err != nil {
			return err
		}
	}
	return send(p.s, msgAnswer, nil)
}

func (p *pusher) bringMembers() (err error) {
	p.heads, err = p.r.bringMembers(p.heads, func(body []byte) error { return send(p.s, msgMembers, body) })
	return err
}

// readAcks takes the receiver's claims as they advance, each after the membership entries that are known there, and
// hands on what it asks. They count for no removal once an entry was refused: it may tell of a device that does not
// know of the removal.
func (p *pusher) readAcks(ctx context.Context) error {
	counts := true
	for {
		kind, body, err := receive(p.s)
		if err != nil {
			return err
		}
		switch kind {
		case msgAck:
		case msgMembers:
			whole, err := p.r.merge(p.dev, body)
			if err != nil {
				return err
			}
			counts = counts && whole
			continue
		case msgAsk, msgWant, msgDone:
			select {
			case p.audit <- message{kind, body}:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		default:
			return errs.E("replicate.readAcks", errs.Protocol, "acknowledgement expected", nil)
		}
		c, err := namespace.ParseClaims(body)
		if err != nil {
			return err
		}
		if counts {
			if err := p.r.cfg.Records.Acknowledged(p.dev, c); err != nil {
				return err
			}
		}
		p.mu.Lock()
		p.theirs = p.theirs.Join(c)
		close(p.acked)
		p.acked = make(chan struct{})
		p.mu.Unlock()
	}
}
