package replicate

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/simnet"
)

// tampered seals payloads that somebody has changed.
type tampered struct {
	*seal.Sealer
	change func(payload []byte)
}

func (x tampered) SealRecord(header, payload []byte) []byte {
	payload = bytes.Clone(payload)
	x.change(payload)
	return x.Sealer.SealRecord(header, payload)
}

// swap overwrites old, where it is there, by as many bytes.
func swap(p []byte, old, new string) {
	if i := bytes.Index(p, []byte(old)); i >= 0 {
		copy(p[i:], new)
	}
}

// liar is a member of the share that sends what it likes.
type liar struct {
	t    *testing.T
	host *simnet.Host
	id   ident.DeviceID
}

// replica is a namespace from which nonsense can be made. Its device has key i.
func (l *liar) replica(i int, share byte, change func(payload []byte)) *namespace.Replica {
	l.t.Helper()
	db, err := kv.OpenMemory(kv.NewMemory())
	if err != nil {
		l.t.Fatal(err)
	}
	s := seal.New(ident.ShareID{share}, 1, [32]byte{7})
	cfg := namespace.Config{DB: db, Share: ident.ShareID{share}, Self: ident.DeviceIDOf(key(i)), Key: key(i), Sealer: s, Group: -1,
		Known: func(ident.DeviceID) bool { return true }}
	if change != nil {
		cfg.Sealer = tampered{s, change}
	}
	r, err := namespace.Open(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = r.Close(); _ = db.Close() })
	return r
}

// session is what a replica would send to somebody who stands at theirs.
func (l *liar) session(r *namespace.Replica, theirs namespace.Claims) (frames [][]byte, end namespace.End) {
	l.t.Helper()
	d, err := r.Since(l.t.Context(), namespace.Hello{Claims: theirs})
	if err != nil {
		l.t.Fatal(err)
	}
	defer d.Close()
	for {
		f, err := d.Next()
		if errors.Is(err, io.EOF) {
			return frames, d.End()
		}
		if err != nil {
			l.t.Fatal(err)
		}
		frames = append(frames, f)
	}
}

// tell has a session with a peer as any member would, but with these frames. It returns when
// the peer has read them all.
func (l *liar) tell(to *peer, hello namespace.Hello, frames [][]byte, end namespace.End) {
	l.t.Helper()
	s, err := l.host.Open(l.t.Context(), to.id, Protocol)
	if err != nil {
		l.t.Fatal(err)
	}
	defer s.Reset()
	if err := handshake(s, true, l.id, to.id, [32]byte{5}); err != nil {
		l.t.Fatal(err)
	}
	if err := send(s, msgHello, encodeHello(greeting{records: hello})); err != nil {
		l.t.Fatal(err)
	}
	if _, err := receiveHello(s); err != nil {
		l.t.Fatal(err)
	}
	for _, f := range frames {
		_ = send(s, msgRecords, f) // the stream may end at any of them
	}
	_ = send(s, msgComplete, end.Encode())
	_ = s.CloseWrite()
	_ = s.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, s); errs.Is(err, errs.Timeout) {
		l.t.Fatal("the peer hangs")
	}
}

// Whatever nonsense a member sends, in the name of whomever: it is refused and counted, nothing
// of it shows, nothing is claimed, and the exchange between all others goes on, in both
// directions.
func TestNonsenseIsInNobodysWay(t *testing.T) {
	file := func(l *liar, r *namespace.Replica, name string) {
		l.t.Helper()
		if _, err := r.Create(namespace.Root, name, namespace.Spec{Kind: namespace.File, Mode: 0o644}); err != nil {
			l.t.Fatal(err)
		}
	}
	flip := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 4; return b }
	const header, sig = 149, 64 // of the first batch in a frame, which begins at 2
	type said struct {
		frames [][]byte
		end    namespace.End
		good   uint64 // writes before the nonsense
	}
	const liarKey, strangerKey = 1, 9
	for name, say := range map[string]func(l *liar) said{
		"wrong signature": func(l *liar) said {
			r := l.replica(liarKey, 1, nil)
			file(l, r, "nonsense")
			f, end := l.session(r, namespace.Claims{})
			return said{[][]byte{flip(f[0], 2+header+sig/2)}, end, 0}
		},
		"changed header": func(l *liar) said {
			r := l.replica(liarKey, 1, nil)
			file(l, r, "nonsense")
			f, end := l.session(r, namespace.Claims{})
			return said{[][]byte{flip(f[0], 2+80)}, end, 0}
		},
		"changed record": func(l *liar) said {
			r := l.replica(liarKey, 1, nil)
			file(l, r, "nonsense")
			f, end := l.session(r, namespace.Claims{})
			return said{[][]byte{flip(f[0], len(f[0])-1)}, end, 1} // the contents; the placement is fine
		},
		"unknown writer": func(l *liar) said {
			r := l.replica(strangerKey, 1, nil)
			file(l, r, "nonsense")
			f, end := l.session(r, namespace.Claims{})
			return said{f, end, 0}
		},
		"writer without the role": func(l *liar) said {
			r := l.replica(readerKey, 1, nil)
			file(l, r, "nonsense")
			f, end := l.session(r, namespace.Claims{})
			return said{f, end, 0}
		},
		"another share": func(l *liar) said {
			r := l.replica(liarKey, 2, nil)
			file(l, r, "nonsense")
			f, end := l.session(r, namespace.Claims{})
			return said{f, end, 0}
		},
		"broken chain": func(l *liar) said {
			r := l.replica(liarKey, 1, nil)
			file(l, r, "left out")
			if err := r.Sync(l.t.Context()); err != nil {
				l.t.Fatal(err)
			}
			before := r.Claims()
			file(l, r, "nonsense")
			f, end := l.session(r, before)
			return said{f, end, 0}
		},
		"no signature at all": func(l *liar) said {
			r := l.replica(liarKey, 1, nil)
			file(l, r, "nonsense")
			f, end := l.session(r, namespace.Claims{})
			// the frame without its batch: version, no batches, and the rest
			hashes := 2 * 16
			return said{[][]byte{append([]byte{f[0][0], 0}, f[0][2+header+sig+1+hashes:]...)}, end, 0}
		},
		"undecodable, but signed": func(l *liar) said {
			r := l.replica(liarKey, 1, func(p []byte) { clear(p[1:]) })
			file(l, r, "nonsense")
			f, end := l.session(r, namespace.Claims{})
			return said{f, end, 0}
		},
		"out of bounds, but signed": func(l *liar) said {
			r := l.replica(liarKey, 1, func(p []byte) { swap(p, "nonsense", "../../..") })
			file(l, r, "nonsense")
			f, end := l.session(r, namespace.Claims{})
			return said{f, end, 0}
		},
		"fork": func(l *liar) said {
			one, two := l.replica(liarKey, 1, nil), l.replica(liarKey, 1, nil)
			file(l, one, "left out")
			file(l, two, "nonsense")
			f, _ := l.session(one, namespace.Claims{})
			g, end := l.session(two, namespace.Claims{})
			return said{[][]byte{f[0], g[0]}, end, 2}
		},
		"no frame at all": func(l *liar) said {
			return said{[][]byte{bytes.Repeat([]byte{0xff}, 1000)}, namespace.End{}, 0}
		},
		"claims without records": func(l *liar) said {
			r := l.replica(liarKey, 1, nil)
			file(l, r, "nonsense")
			_, end := l.session(r, namespace.Claims{})
			return said{nil, end, 0}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net := simnet.New(simnet.Link{})
			b, c := newPeer(t, net, 0, 1, 2, readerKey), newPeer(t, net, 2, 0, 1, readerKey)
			l := &liar{t: t, id: ident.DeviceIDOf(key(liarKey))}
			l.host = net.Host(l.id)
			b.make(t, 0, 5)
			c.make(t, 0, 5)
			waitFiles(t, 10, b, c)
			x := say(l)
			honest := l.replica(liarKey, 1, nil) // only to say hello as a member does
			for range 3 {                        // as often as it likes
				l.tell(b, honest.Hello(b.id), x.frames, x.end)
			}
			if _, err := b.names.Lookup(namespace.Root, "nonsense"); !errs.Is(err, errs.NotExist) {
				t.Error("it shows:", err)
			}
			w := ident.Writer{Device: l.id, Incarnation: 1}
			if n := b.names.Claims().Upto(w); n > x.good {
				t.Errorf("%d of its writes are claimed", n)
			}
			n, _ := b.names.Quarantined()
			frozen := len(b.names.Frozen())
			switch name {
			case "no frame at all", "claims without records":
				if n+frozen != 0 {
					t.Error(n, "quarantined;", frozen, "frozen")
				}
			case "undecodable, but signed", "out of bounds, but signed":
				if n == 0 || frozen != 1 {
					t.Error(n, "quarantined;", frozen, "frozen")
				}
			default:
				if n == 0 || frozen != 0 {
					t.Error(n, "quarantined;", frozen, "frozen")
				}
			}
			was := int(b.names.Stat().Files) // of a fork the first side stays
			b.make(t, 5, 10)
			c.make(t, 5, 10)
			for _, p := range []*peer{b, c} {
				for end := time.Now().Add(20 * time.Second); int(p.names.Stat().Files) != was+10; time.Sleep(5 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("%d files instead of %d: it stopped the exchange", p.names.Stat().Files, was+10)
					}
				}
			}
			if x.good == 0 { // else something is held that is not claimed
				settled(t, b, c)
			}
			if err := b.names.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Who goes on after something that was refused, as if it had been taken, does not make it claimed.
func TestRefusedAmidAStream(t *testing.T) {
	net := simnet.New(simnet.Link{})
	b := newPeer(t, net, 0, 1)
	l := &liar{t: t, id: ident.DeviceIDOf(key(1))}
	l.host = net.Host(l.id)
	r := l.replica(1, 1, nil)
	delta := func(name string, theirs namespace.Claims) (frames [][]byte, end namespace.End) {
		if _, err := r.Create(namespace.Root, name, namespace.Spec{Kind: namespace.File}); err != nil {
			t.Fatal(err)
		}
		return l.session(r, theirs)
	}
	f1, end1 := delta("one", namespace.Claims{})
	f1[0][len(f1[0])-1] ^= 4 // its contents
	f2, end2 := delta("two", end1.Claims)
	s, err := l.host.Open(t.Context(), b.id, Protocol)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	if err := handshake(s, true, l.id, b.id, [32]byte{5}); err != nil {
		t.Fatal(err)
	}
	_ = send(s, msgHello, encodeHello(greeting{records: r.Hello(b.id)}))
	if _, err := receiveHello(s); err != nil {
		t.Fatal(err)
	}
	for _, d := range []struct {
		frames [][]byte
		end    namespace.End
	}{{f1, end1}, {f2, end2}} {
		for _, f := range d.frames {
			_ = send(s, msgRecords, f)
		}
		_ = send(s, msgComplete, d.end.Encode())
	}
	_ = s.CloseWrite()
	_ = s.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, s); errs.Is(err, errs.Timeout) {
		t.Fatal("the peer hangs")
	}
	if n := b.names.Claims().Upto(ident.Writer{Device: l.id, Incarnation: 1}); n > 1 {
		t.Fatal("the contents of one are claimed, and were refused:", n)
	}
	frames, end := l.session(r, b.names.Claims())
	l.tell(b, r.Hello(b.id), frames, end) // another stream
	for _, name := range []string{"one", "two"} {
		if _, err := b.names.Lookup(namespace.Root, name); err != nil {
			t.Error(name, err)
		}
	}
}

// A device that signs nonsense is frozen by those that see it, and says so to its user; once it
// is mended and begins anew, all have its work, without a restart of anybody else.
func TestFrozenAndThawed(t *testing.T) {
	net := simnet.New(simnet.Link{})
	faulty := seal.New(ident.ShareID{1}, 1, [32]byte{7})
	broken := func(p []byte) { swap(p, "invalid", "inv/lid") }
	disk := kv.NewMemory()
	a := setup{disk: disk, sealer: tampered{faulty, broken}}.peer(t, net, 0, 1, 2)
	b, c := newPeer(t, net, 1, 0, 2), newPeer(t, net, 2, 0, 1)
	a.make(t, 0, 10)
	waitFiles(t, 10, a, b, c)
	if _, err := a.names.Create(namespace.Root, "invalid", namespace.Spec{Kind: namespace.File}); err != nil {
		t.Fatal(err)
	}
	a.make(t, 10, 20)
	b.make(t, 0, 5)
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("never: ", what)
			}
		}
	}
	until("b and c have frozen it, and it knows", func() bool {
		return len(b.names.Frozen()) == 1 && len(c.names.Frozen()) == 1 && len(a.names.FrozenBy()) == 2
	})
	until("others go on", func() bool { return a.names.Stat().Files == 26 && c.names.Stat().Files == 15 })
	a.stop()
	a = setup{disk: disk}.peer(t, net, 0, 1, 2)
	until("it hears again that it is frozen", func() bool { return len(a.names.FrozenBy()) == 2 })
	if err := a.names.Thaw(a.id); err != nil {
		t.Fatal(err)
	}
	a.Renew()
	until("all have its work", func() bool {
		return a.names.Stat().Files == 26 && b.names.Stat().Files == 26 && c.names.Stat().Files == 26
	})
	until("nobody calls it frozen", func() bool {
		return len(a.names.FrozenBy())+len(b.names.Frozen())+len(c.names.Frozen()) == 0
	})
	a.make(t, 20, 30)
	waitAll := func(n uint64) func() bool {
		return func() bool { return b.names.Stat().Files == n && c.names.Stat().Files == n }
	}
	until("it goes on", waitAll(36))
}
