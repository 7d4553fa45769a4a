package share

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// Directions of a relay.
const (
	toInviter = 0
	toJoiner  = 1
)

// relay stands between two ends and passes frames on as pass says: pass gets the
// direction, the frame's number in it and its bytes, and returns what to send instead, or
// false to break the connection.
func relay(joiner, inviter conn, pass func(dir, n int, f []byte) ([]byte, bool)) {
	var wg sync.WaitGroup
	carry := func(dir int, from, to conn) {
		for n := 0; ; n++ {
			f, err := wire.ReadFrame(from, wire.MaxFrame)
			if err != nil {
				_ = to.CloseWrite()
				return
			}
			f, ok := pass(dir, n, f)
			if !ok {
				_, _ = from.Reset(), to.Reset()
				return
			}
			if wire.WriteFrame(to, f) != nil {
				_ = from.Reset()
				return
			}
		}
	}
	wg.Go(func() { carry(toInviter, joiner, inviter) })
	wg.Go(func() { carry(toJoiner, inviter, joiner) })
	wg.Wait()
	_, _ = joiner.Close(), inviter.Close()
}

// meetThrough is meet with a relay in the middle. The inviter believes the other end to be
// peer, which the transport would have proved.
func meetThrough(t testing.TB, a *Account, j *Joiner, approve Approve, peer ident.TransportKey, pass func(dir, n int, f []byte) ([]byte, bool)) meeting {
	t.Helper()
	there, manJ := streams(t)
	manI, here := streams(t)
	done := make(chan struct{})
	go func() {
		relay(manJ, manI, pass)
		close(done)
	}()
	m := meetOver(a, j, approve, peer, there, here)
	<-done
	return m
}

func unchanged(_, _ int, f []byte) ([]byte, bool) { return f, true }

// Somebody passes everything on between a joiner and an inviter. He must prove a transport
// key of his own to the inviter, and so neither side's proofs fit.
func TestManInTheMiddle(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	j := joiner(t, newDB(t), invite(t, a), "nas", Options{})
	man := transportOf(ident.NewKey())
	m := meetThrough(t, a, j, never(t), man, unchanged)
	wantReason(t, "inviter", m.serveErr, Unproven)
	if m.joinErr == nil || len(a.Devices()) != 1 {
		t.Errorf("join: %v, %d devices", m.joinErr, len(a.Devices()))
	}
	noAccount(t, j.db)
	// The relay itself is not what fails.
	if m := meetThrough(t, a, j, yes, transportOf(j.TransportKey()), unchanged); m.joinErr != nil {
		t.Fatal(m.joinErr)
	}
}

// Every message is changed in several places, one at a time.
func TestJoinMessagesChanged(t *testing.T) {
	c := newClock()
	o := Options{Clock: c.Now}
	a, _ := create(t, "laptop", o)
	rng := rand.New(rand.NewPCG(1, 2))
	last := map[int]int{toInviter: 2, toJoiner: 2} // hello, offer, done; challenge, verdict, entries
	for dir, frames := range last {
		for n := 0; n <= frames; n++ {
			for round := range 6 {
				c.advance(time.Minute)
				db := newDB(t)
				j := joiner(t, db, invite(t, a), "nas", o)
				before := len(a.Devices())
				approve := yes
				if dir == toInviter && n < 2 || dir == toJoiner && n == 0 {
					approve = never(t)
				}
				m := meetThrough(t, a, j, approve, transportOf(j.TransportKey()), func(d, i int, f []byte) ([]byte, bool) {
					if d == dir && i == n && len(f) > 1 {
						f = bytes.Clone(f)
						at := rng.IntN(len(f))
						if round == 0 {
							at = len(f) - 1 // the proof
						}
						f[at] ^= 1 << rng.IntN(8)
					}
					return f, true
				})
				if dir == toInviter && n == 2 { // "done": the joiner has what it needs
					if m.joinErr != nil || m.serveErr == nil || m.device.ID != m.account.Self().ID {
						t.Fatalf("done changed: %v, %v", m.joinErr, m.serveErr)
					}
					continue
				}
				if m.joinErr == nil {
					t.Fatalf("direction %d, message %d: joined", dir, n)
				}
				noAccount(t, db)
				if dir == toInviter && len(a.Devices()) != before {
					t.Fatalf("message %d changed, and a device admitted", n)
				}
			}
		}
	}
}

// The connection breaks after every message, and inside some. The same token, with the
// same device, always leads to one admitted device in the end, and a person is not asked
// again about a device that was admitted.
func TestConnectionBreaks(t *testing.T) {
	c := newClock()
	o := Options{Clock: c.Now}
	a, _ := create(t, "laptop", o)
	for dir, frames := range map[int]int{toInviter: 3, toJoiner: 3} {
		for n := range frames {
			for _, part := range []int{0, 1, 2} { // nothing, half, all of the message
				c.advance(time.Minute)
				before := len(a.Devices())
				tok := invite(t, a)
				db := newDB(t)
				asked := 0
				approve := func(context.Context, Asker) (bool, error) { asked++; return true, nil }
				m := breakAt(t, a, joiner(t, db, tok, "nas", o), approve, dir, n, part)
				if m.joinErr == nil {
					same(t, a, m.account)
					continue
				}
				noAccount(t, db)
				admitted := len(a.Devices()) > before
				if admitted != !m.device.ID.IsZero() {
					t.Errorf("direction %d, message %d.%d: admitted %v, returned %+v", dir, n, part, admitted, m.device)
				}
				if admitted {
					asked = 0
					wantReason(t, "another device", meet(t, a, joiner(t, newDB(t), tok, "thief", o), never(t)).joinErr, TokenUsed)
					c.advance(InviteTTL) // being late does not matter any more
				}
				again, err := Open(a.db, o) // nor does a restart of the inviter
				if err != nil {
					t.Fatal(err)
				}
				m = meet(t, again, joiner(t, db, tok, "nas", o), approve)
				if m.joinErr != nil || m.serveErr != nil {
					t.Fatalf("direction %d, message %d.%d, second try: %v, %v", dir, n, part, m.joinErr, m.serveErr)
				}
				if admitted && asked > 0 || len(m.account.Devices()) != before+1 {
					t.Errorf("direction %d, message %d.%d: asked %d times, %d devices", dir, n, part, asked, len(m.account.Devices()))
				}
				same(t, again, m.account)
				a = again
			}
		}
	}
}

// breakAt breaks the connection at message n of a direction, after a part of it: 0 nothing,
// 1 half, 2 all.
func breakAt(t testing.TB, a *Account, j *Joiner, approve Approve, dir, n, part int) meeting {
	t.Helper()
	there, manJ := streams(t)
	manI, here := streams(t)
	done := make(chan struct{})
	go func() {
		relay(manJ, manI, func(d, i int, f []byte) ([]byte, bool) {
			if d != dir || i != n {
				return f, true
			}
			to := manI
			if dir == toJoiner {
				to = manJ
			}
			switch part {
			case 1:
				_, _ = to.Write(append([]byte{0, 0, byte(len(f) >> 8), byte(len(f))}, f[:len(f)/2]...))
			case 2:
				_ = wire.WriteFrame(to, f)
			}
			time.Sleep(2 * time.Millisecond) // so that what was sent arrives before the end does
			return nil, false
		})
		close(done)
	}()
	m := meetOver(a, j, approve, transportOf(j.TransportKey()), there, here)
	<-done
	return m
}

// After a break the user may come back with a newer invitation: it is the same device then.
func TestBrokenJoinThenNewToken(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	db := newDB(t)
	m := breakAt(t, a, joiner(t, db, invite(t, a), "nas", Options{}), yes, toJoiner, 1, 0)
	if m.joinErr == nil || m.device.ID.IsZero() {
		t.Fatal("not broken after the admission")
	}
	tok := invite(t, a)
	m = meet(t, a, joiner(t, db, tok, "nas", Options{}), yes)
	if m.joinErr != nil {
		t.Fatal(m.joinErr)
	}
	if len(a.Devices()) != 2 {
		t.Errorf("%d devices", len(a.Devices()))
	}
	wantReason(t, "token", meet(t, a, joiner(t, newDB(t), tok, "x", Options{}), never(t)).joinErr, TokenUsed)
	same(t, a, m.account)
}

// A device that was admitted and then revoked before it finished stays out.
func TestRevokedBeforeItFinished(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	db := newDB(t)
	tok := invite(t, a)
	m := breakAt(t, a, joiner(t, db, tok, "nas", Options{}), yes, toJoiner, 1, 0)
	if err := a.Revoke(m.device.ID); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "same token", meet(t, a, joiner(t, db, tok, "nas", Options{}), never(t)).joinErr, TokenUsed)
	wantReason(t, "new token", meet(t, a, joiner(t, db, invite(t, a), "nas", Options{}), yes).joinErr, Declined)
	noAccount(t, db)
}

// A thief of the token cannot make his own question look like the real device's: the
// codes differ, and nobody can choose one.
func TestCodesDiffer(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	tok := invite(t, a)
	codes := map[string]bool{}
	no := func(_ context.Context, who Asker) (bool, error) { codes[who.Code] = true; return false, nil }
	j := joiner(t, newDB(t), tok, "nas", Options{})
	meet(t, a, j, no)
	meet(t, a, j, no)
	meet(t, a, joiner(t, newDB(t), tok, "nas", Options{}), no)
	if len(codes) != 3 {
		t.Errorf("codes %v", codes)
	}
}

// A joiner cannot bring keys that are another device's.
func TestJoinWithKeysOfAnother(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	victim := join(t, a, "nas", Options{})
	j := joiner(t, newDB(t), invite(t, a), "thief", Options{})
	j.keys.transport = victim.TransportKey() // as if it had been stolen: the name is taken all the same
	if m := meet(t, a, j, yes); m.joinErr == nil {
		t.Error("two devices with one transport key")
	}
	j = joiner(t, newDB(t), invite(t, a), "thief", Options{})
	j.keys.sign = victim.SigningKey()
	if m := meet(t, a, j, yes); m.joinErr == nil {
		t.Error("two devices with one signing key")
	}
	if len(a.Devices()) != 2 {
		t.Errorf("%d devices", len(a.Devices()))
	}
}

// The offer must be signed by the key that it offers.
func TestOfferNeedsItsOwnSignature(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	j := joiner(t, newDB(t), invite(t, a), "nas", Options{})
	other := newDeviceKeys()
	there, here := streams(t)
	done := make(chan error, 1)
	go func() {
		_, err := a.ServeJoin(context.Background(), transportOf(j.TransportKey()), here, never(t))
		done <- err
	}()
	g := &guest{Joiner: j, talk: newTalk(there, j.token.Inviter, transportOf(j.TransportKey()))}
	g.unlock(j.token.Secret[:])
	dev := j.keys.describe("nas")
	dev.Signing = other.describe("x").Signing // somebody else's
	device := wire.Marshal(&dev)
	if err := g.hello(device); err != nil {
		t.Fatal(err)
	}
	sig := ident.Sign(j.keys.sign, ident.SigJoin, g.proofBody(device))
	if err := g.send(g.ask, wire.Marshal(offerMsg{Device: device, Sig: sig})); err != nil {
		t.Fatal(err)
	}
	_, _, err := g.verdict()
	wantReason(t, "joiner", err, Unproven)
	_ = there.Close()
	wantReason(t, "inviter", <-done, Unproven)
}

// What a joiner is told must hold together, whoever tells it.
func TestJoinerChecksTheLogs(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	other, _ := create(t, "other", Options{})
	m := meet(t, a, joiner(t, newDB(t), invite(t, a), "nas", Options{}), yes)
	b := m.account
	account, share := a.AccountID(), a.ShareID()
	good := verdictMsg{Account: account[:], Share: share[:]}
	entries := func(a *Account) (out []*entry) {
		for _, raw := range a.EntriesSince(nil) {
			e, err := parseEntry(raw)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, e)
		}
		return out
	}
	tok := invite(t, a)
	fresh := func() *guest {
		j := &Joiner{db: newDB(t), token: tok, name: "nas", keys: b.keys, opt: Options{}.withDefaults()}
		return &guest{Joiner: j}
	}
	all := entries(a)
	if _, err := fresh().settleIn(good, all); err != nil {
		t.Fatal(err)
	}
	// a says that b is revoked
	if err := a.Revoke(b.Self().ID); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"another account's logs": func() error { _, err := fresh().settleIn(good, entries(other)); return err },
		"logs of two accounts": func() error {
			_, err := fresh().settleIn(good, append(all[:2:2], entries(other)[1:]...))
			return err
		},
		"no logs":          func() error { _, err := fresh().settleIn(good, nil); return err },
		"one entry hidden": func() error { _, err := fresh().settleIn(good, all[:len(all)-1]); return err },
		"another id": func() error {
			bad := good
			bad.Account = share[:]
			_, err := fresh().settleIn(bad, all)
			return err
		},
		"inviter not in it": func() error {
			g := fresh()
			g.token.Inviter = other.Self().Transport
			_, err := g.settleIn(good, all)
			return err
		},
		"joiner not in it": func() error {
			g := fresh()
			g.keys = newDeviceKeys()
			_, err := g.settleIn(good, all)
			return err
		},
		"joiner revoked": func() error { _, err := fresh().settleIn(good, entries(a)); return err },
	} {
		if err := try(); err == nil {
			t.Errorf("%s: accepted", name)
		} else if k := errs.KindOf(err); k == errs.Other {
			t.Errorf("%s: error without a kind: %v", name, err)
		}
	}
}

// A device that cannot write admits nobody, says so, and keeps the token good.
func TestInviterCannotWrite(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	a, _, err := Create(db, "laptop", Options{})
	if err != nil {
		t.Fatal(err)
	}
	tok := invite(t, a)
	j := joiner(t, newDB(t), tok, "nas", Options{})
	m := meet(t, a, j, func(context.Context, Asker) (bool, error) { return true, db.Close() })
	wantReason(t, "joiner", m.joinErr, Failed)
	if m.serveErr == nil || !m.device.ID.IsZero() {
		t.Errorf("serve: %+v, %v", m.device, m.serveErr)
	}
	noAccount(t, j.db)
	a, err = Open(openDB(t, dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m := meet(t, a, j, yes); m.joinErr != nil || len(a.Devices()) != 2 {
		t.Errorf("%v, %d devices", m.joinErr, len(a.Devices()))
	}
}

// A joiner that cannot store its account has none, says so, and can finish later.
func TestJoinerCannotWrite(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	dir := t.TempDir()
	db := openDB(t, dir)
	tok := invite(t, a)
	j := joiner(t, db, tok, "nas", Options{})
	m := meet(t, a, j, func(context.Context, Asker) (bool, error) { return true, db.Close() })
	if m.joinErr == nil || m.serveErr == nil || m.device.ID.IsZero() {
		t.Fatalf("join %v, serve %v, %+v", m.joinErr, m.serveErr, m.device)
	}
	db = openDB(t, dir)
	noAccount(t, db)
	m = meet(t, a, joiner(t, db, tok, "nas", Options{}), never(t))
	if m.joinErr != nil || m.serveErr != nil {
		t.Fatal(m.joinErr, m.serveErr)
	}
	same(t, a, m.account)
}
