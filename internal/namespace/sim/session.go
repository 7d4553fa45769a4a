package sim

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// This file is the only one that knows how two replicas talk: session is one device pulling
// from another.

// ctx never ends: nothing here waits.
var ctx = context.Background()

// maxFrames is how many frames are kept of each device to come again.
const maxFrames = 64

// traffic is what a session moved.
type traffic struct{ frames, records int }

// conn is how a session goes.
type conn struct {
	page   int                 // records in a frame
	cut    int                 // the link breaks after so many frames; < 0: it holds
	garble func([]byte) []byte // if not nil, changes a frame on the way
	amid   func()              // if not nil, happens before each frame, before the end, and before an audit
}

// plain goes through.
var plain = conn{page: 100, cut: -1}

func (c *conn) pause() {
	if c.amid != nil {
		c.amid()
	}
}

// session lets dst pull from src all it lacks. Frames that arrived may do so again (again). It
// reports whether the session was complete.
func (w *world) session(dst, src *device, c conn) (moved traffic, complete bool) {
	delete(dst.streams, src)
	dst.frames = slices.DeleteFunc(dst.frames, func(f frame) bool { return f.from == src.id }) // none of another stream comes any more
	if !acquainted(dst, src) || !w.greet(dst, src) {
		return moved, false
	}
	return w.delta(newStream(dst, src), dst.names.Hello(src.id), c)
}

// stream is a session that goes on, as between devices that stay connected: the source takes for
// known what it has sent, and sends what is new.
type stream struct {
	dst, src *device
	began    [2]standing
	theirs   namespace.Claims     // what dst claims, as far as src knows
	ends     []namespace.ChainEnd // and how far it has each log
}

// standing changes when a device starts anew, or has news that all must hear first: its streams end.
type standing struct {
	names *namespace.Replica
	news  uint64
}

func (d *device) standing() standing { return standing{d.names, d.names.News()} }

func newStream(dst, src *device) *stream {
	return &stream{dst: dst, src: src, began: [2]standing{dst.standing(), src.standing()}}
}

// flows tells whether the stream is there still.
func (s *stream) flows() bool {
	return s != nil && s.began == [2]standing{s.dst.standing(), s.src.standing()}
}

// goOn is a session that goes on where the last one ended, without another greeting, if it can.
func (w *world) goOn(dst, src *device, c conn) (moved traffic, complete bool) {
	s := dst.streams[src]
	if !s.flows() {
		return w.session(dst, src, c)
	}
	dst.learn(src.roster)
	if s.theirs.Covers(src.names.Claims()) {
		return moved, true
	}
	w.stats.Met["sessions that went on"]++
	return w.delta(s, namespace.Hello{Claims: s.theirs, Ends: s.ends}, c)
}

// delta is what one side sends to the other, which has said where it stands.
func (w *world) delta(s *stream, theirs namespace.Hello, c conn) (moved traffic, complete bool) {
	dst, src, refused := s.dst, s.src, false
	dst.seen = nil
	delete(dst.streams, src) // until it is complete
	d, err := src.names.Since(ctx, theirs)
	switch {
	case src.broke(err):
		return moved, false
	case errs.Is(err, errs.Stale): // its own log is in doubt
		w.stats.Met["devices in doubt"]++
		return moved, false
	}
	src.ok(err)
	defer d.Close()
	src.durable()
	dst.learn(src.roster)
	d.Page(c.page)
	size := 0
	for i := 0; ; i++ {
		if c.pause(); dst.names != s.began[0].names {
			return moved, false
		}
		f, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		src.ok(err)
		w.sends(src, f)
		size += len(f)
		if c.cut >= 0 && i >= c.cut {
			return moved, false
		}
		if c.garble != nil {
			f = c.garble(f)
		}
		moved.frames++
		blamed, _ := dst.names.Quarantined()
		err = dst.names.Apply(ctx, src.id, f)
		switch {
		case dst.broke(err):
			return moved, false
		case errs.Is(err, errs.Stale): // whose log is in doubt does not listen to everybody
			return moved, false
		case errs.Is(err, errs.Corrupt) || errs.Is(err, errs.Protocol):
			if c.garble == nil && !w.foul() { // a second log of a device is refused as well
				dst.ok(err)
			}
			if n, last := dst.names.Quarantined(); c.garble == nil && !w.lied() && n > blamed && !strings.Contains(last.Error(), "namespace.batch fork") {
				w.fail("what a fork leaves is nobody's fault", "%s refuses what %s sent: %v", deviceName(dst.i), deviceName(src.i), last)
			}
			w.stats.Met["bad frames refused"]++
			refused = true
			if errs.Is(err, errs.Protocol) { // who cannot be understood is not listened to
				return moved, false
			}
		default:
			dst.ok(err)
			dst.remember(frame{src.id, f})
		}
	}
	moved.records = d.Records()
	if most := 512 + 1024*w.missing(theirs.Claims); size > most && !w.restored {
		w.fail("traffic follows the changes", "%d bytes, want at most %d", size, most)
	}
	if c.cut >= 0 {
		return moved, false
	}
	end := d.End()
	if w.check {
		end, err = namespace.ParseEnd(end.Encode())
		dst.ok(err)
	}
	claims, err := dst.names.Complete(ctx, src.id, end)
	if dst.broke(err) {
		return moved, false
	}
	dst.ok(err)
	dst.durable()
	if w.step.Op == "end" || !w.dice.one(8) { // else the answer is lost
		src.learn(dst.roster)
		if err := src.names.Acknowledged(dst.id, claims); src.broke(err) {
			return moved, false
		} else {
			src.ok(err)
		}
	}
	if c.pause(); dst.names != s.began[0].names {
		return moved, false
	}
	complete = w.audit(dst, src, d, &moved)
	s.theirs, s.ends = theirs.Claims.Join(end.Claims), d.Ends()
	if complete && !refused && s.flows() {
		dst.streams[src] = s
	}
	return moved, complete
}

// greet lets two devices say where they stand, as every session begins.
func (w *world) greet(dst, src *device) bool {
	for _, x := range [2][2]*device{{dst, src}, {src, dst}} {
		h := x[1].names.Hello(x[0].id)
		if w.check {
			var err error
			h, err = namespace.ParseHello(h.Encode())
			x[0].ok(err)
		}
		news := x[0].names.News()
		err := x[0].names.Hear(x[1].id, h, x[0] == dst)
		if x[0].broke(err) {
			return false
		}
		if x[0].seen = nil; x[0] == src && src.names.News() > news {
			src.shown = map[nodeID]*item{} // nobody watches here what it drops
		}
		if x[0] == src && errs.Is(err, errs.Closed) { // and has to greet once more
			return false
		}
		if !errs.Is(err, errs.Stale) {
			x[0].ok(err)
		}
	}
	return true
}

// audit makes the audit that dst owes src, if any.
func (w *world) audit(dst, src *device, d *namespace.Delta, moved *traffic) bool {
	a := dst.names.Audit(src.id, d.End())
	if a == nil {
		return true
	}
	w.stats.Met["audits"]++
	if a.Kind() == namespace.Damaged && !w.copied() && !w.forgot {
		w.fail("equal claims, equal fingerprints", "%s and %s", deviceName(dst.i), deviceName(src.i))
	}
	for q := a.Question(); q != nil; q = a.Question() {
		answer, err := d.Answer(q)
		src.ok(err)
		dst.ok(a.Hear(answer))
	}
	frames, err := d.Fetch(a.Wanted()) // nothing, but after damage
	src.ok(err)
	for _, f := range frames {
		if err := a.Repair(ctx, f); dst.broke(err) {
			return false
		} else if !w.foul() {
			dst.ok(err)
		}
	}
	n, err := a.End()
	if dst.broke(err) {
		return false
	}
	dst.ok(err)
	if n > 0 {
		w.stats.Met["audits that dropped something"]++
		w.dropped = true
		dst.shown = map[nodeID]*item{} // what is forgotten and comes back is new
	}
	moved.frames++ // not quiet yet
	return true
}

// remember keeps a frame that may come again.
func (d *device) remember(f frame) {
	if len(d.frames) < maxFrames {
		d.frames = append(d.frames, f)
	} else {
		d.frames[d.w.dice.n(maxFrames)] = f
	}
}

// missing is how many of all writes there are somebody does not claim.
func (w *world) missing(claims namespace.Claims) (n int) {
	for _, d := range append(w.devices[:len(w.devices):len(w.devices)], w.left...) {
		n += int(d.names.Written() - claims.Upto(d.names.Writer()))
	}
	for _, c := range w.liars {
		if c != nil {
			n += int(c.frames[len(c.frames)-1].upto)
		}
	}
	return n
}

// alike: devices that claim the same hold the same (invariant 20).
func (w *world) alike(a, b *device) {
	x, y := a.names.Hello(b.id), b.names.Hello(a.id)
	if x.Settled && y.Settled && x.Claims.Covers(y.Claims) && y.Claims.Covers(x.Claims) && x.Fingerprint != y.Fingerprint {
		w.fail("equal claims, equal fingerprints", "%s and %s", deviceName(a.i), deviceName(b.i))
	}
}

// pull is a session as a step.
func (w *world) pull(dst *device, s *Step) { w.link(dst, s, w.session, conn{}) }

// follow is pull on a stream that is there still, if it is.
func (w *world) follow(dst *device, s *Step) { w.link(dst, s, w.goOn, conn{}) }

// amid is pull while another session begins, and perhaps ends: devices talk with several at once.
func (w *world) amid(dst *device, s *Step) {
	at, other := s.num(2), w.peer(s.arg(3))
	if other == nil || other.id == dst.id || other.i == s.Dev || s.arg(3) == s.arg(0) {
		return
	}
	pull := *s
	pull.Args = s.Args[:2]
	w.link(dst, &pull, w.session, conn{amid: func() {
		if at == 0 {
			w.stats.Met["sessions amid another"]++
			w.session(dst, other, conn{page: 100, cut: s.num(4)})
		}
		at--
	}})
}

type sessionFunc = func(dst, src *device, c conn) (traffic, bool)

func (w *world) link(dst *device, s *Step, session sessionFunc, c conn) {
	src := w.peer(s.arg(0))
	if src == nil || src.id == dst.id {
		return
	}
	c.page, c.cut = s.num(1), -1
	if len(s.Args) > 2 {
		c.cut = s.num(2)
	}
	if !w.check {
		_, complete := session(dst, src, c)
		w.stats.session(complete)
		return
	}
	before, names := dst.view(), dst.names
	watcher := dst.names.Watch()
	_, complete := session(dst, src, c)
	w.stats.session(complete)
	if dst.names != names {
		return
	}
	if !w.copied() && len(w.numbers.forked) == 0 { // a void fork goes before what is written again comes
		w.oracle.still(dst, before)
	}
	dst.checkView()
	dst.checkNews(watcher, before)
	watcher.Close()
}

// peer is a device by its name, nil if there is none.
func (w *world) peer(name string) *device {
	if len(name) != 1 {
		return nil
	}
	return w.dev(int(name[0] - 'a'))
}

// garbled is a session over a link, or from a device, that changes frames.
func (w *world) garbled(dst *device, s *Step) {
	dice := dice(s.num(2))
	bad := *s
	bad.Args = slices.Delete(slices.Clone(s.Args), 2, 3)
	w.link(dst, &bad, w.session, conn{garble: func(f []byte) []byte { return garble(&dice, f) }})
}

// garble changes a copy of a frame in one way.
func garble(d *dice, f []byte) []byte {
	f = append([]byte(nil), f...)
	if d.one(3) {
		return f // later ones are better
	}
	switch at := d.n(len(f)); d.n(4) {
	case 0:
		f = f[:at]
	case 1:
		f = append(f, f[at:]...)
	default:
		f[at] ^= 1 << d.n(8)
	}
	return f
}

// again: a frame arrives once more. Never for the first time and late: the frames of a session
// are one stream, so that order is not in doubt, and what did not arrive comes in another one.
func (w *world) again(d *device, s *Step) {
	if len(d.frames) == 0 {
		return
	}
	f := d.frames[s.num(0)%len(d.frames)]
	err := d.names.Apply(ctx, f.from, f.bytes)
	d.seen = nil
	if !d.broke(err) && !w.foul() && !errs.Is(err, errs.Stale) {
		d.ok(err)
	}
	if w.check {
		d.checkView()
	}
}
