package replicate

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

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
	told  bool         // a first delta is complete, be it an empty one
	why   error        // what ended readAcks, once it has
	heads []share.Hash // what the receiver has of the membership log, as far as we know

	mu     sync.Mutex
	theirs namespace.Claims // what the receiver claims, or will when it has read what we sent
	acked  chan struct{}    // closed and replaced when theirs grew by an acknowledgement
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
	_ = s.SetReadDeadline(time.Now().Add(handshakeTime))
	kind, body, err := receive(s)
	if err != nil {
		return err
	}
	_ = s.SetReadDeadline(time.Time{})
	if kind != msgHello {
		return errs.E("replicate.push", errs.Protocol, "hello expected", nil)
	}
	heads, theirs, err := parseHello(body)
	if err != nil {
		return err
	}
	r.compare(dev, theirs)
	if err := r.cfg.Records.Acknowledged(dev, theirs.Claims); err != nil {
		return err
	}
	p := &pusher{r: r, dev: dev, s: s, heads: heads, theirs: theirs.Claims, acked: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.why = p.readAcks()
	}()
	err = p.loop(ctx, ended)
	_ = s.Reset() // ends readAcks, which must not outlive the store that it writes to
	<-ended
	return err
}

// loop sends what is new, then waits for something new.
func (p *pusher) loop(ctx context.Context, ended <-chan struct{}) error {
	for {
		records, members := p.r.cfg.Records.Changed(), p.r.cfg.Members.Changed()
		theirs, acked := p.known()
		if err := p.bring(ctx, theirs); err != nil {
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
func (p *pusher) bring(ctx context.Context, theirs namespace.Claims) error {
	cfg := &p.r.cfg
	if p.told && theirs.Covers(cfg.Records.Claims()) {
		return p.bringMembers()
	}
	d, err := cfg.Records.Since(ctx, theirs)
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
	if err := send(p.s, msgComplete, namespace.EncodeClaims(d.Claims())); err != nil {
		return err
	}
	p.told = true
	p.mu.Lock()
	p.theirs = p.theirs.Join(d.Claims())
	p.mu.Unlock()
	return nil
}

func (p *pusher) bringMembers() error {
	heads := p.r.cfg.Members.Heads()
	for _, g := range inGroups(p.r.cfg.Members.EntriesSince(p.heads)) {
		if err := send(p.s, msgMembers, wire.Marshal(g)); err != nil {
			return err
		}
	}
	p.heads = heads
	return nil
}

// readAcks takes the receiver's claims as they advance.
func (p *pusher) readAcks() error {
	for {
		kind, body, err := receive(p.s)
		if err != nil {
			return err
		}
		if kind != msgAck {
			return errs.E("replicate.readAcks", errs.Protocol, "acknowledgement expected", nil)
		}
		c, err := namespace.ParseClaims(body)
		if err != nil {
			return err
		}
		if err := p.r.cfg.Records.Acknowledged(p.dev, c); err != nil {
			return err
		}
		p.mu.Lock()
		p.theirs = p.theirs.Join(c)
		close(p.acked)
		p.acked = make(chan struct{})
		p.mu.Unlock()
	}
}

// compare looks whether a device with the same claims holds the same.
func (r *Replicator) compare(dev ident.DeviceID, theirs namespace.Hello) {
	ours := r.cfg.Records.Hello()
	if !ours.Settled || !theirs.Settled || !ours.Claims.Covers(theirs.Claims) || !theirs.Claims.Covers(ours.Claims) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if ours.Fingerprint == theirs.Fingerprint {
		delete(r.diverged, dev)
		return
	}
	r.diverged[dev] = true
	r.cfg.Log.Error("two devices claim the same and hold different records", "device", dev.Short())
}
