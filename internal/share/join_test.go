package share

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

func TestJoin(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	if a.Inviting() {
		t.Error("inviting without an invitation")
	}
	tok := invite(t, a)
	if !a.Inviting() {
		t.Error("not inviting")
	}
	dir := t.TempDir()
	db := openDB(t, dir)
	j := joiner(t, db, tok, "nas", Options{})
	var asker Asker
	m := meet(t, a, j, func(_ context.Context, who Asker) (bool, error) {
		asker = who
		if len(a.Devices()) != 1 {
			t.Error("admitted before anybody said yes")
		}
		return true, nil
	})
	if m.joinErr != nil || m.serveErr != nil {
		t.Fatal(m.joinErr, m.serveErr)
	}
	b := m.account
	if asker.Name != "nas" || asker.Code != m.code || len(m.code) != 7 || asker.Invite != tok.ID() || asker.Device != b.Self().ID || asker.Transport != b.Self().Transport {
		t.Errorf("asker %+v, code %q", asker, m.code)
	}
	if m.device.ID != b.Self().ID || m.device.AddedBy != a.Self().ID {
		t.Errorf("device %+v", m.device)
	}
	if a.Inviting() {
		t.Error("still inviting")
	}
	same(t, a, b)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := Open(openDB(t, dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, a, c)
	if d := join(t, c, "phone", Options{}); len(d.Devices()) != 3 { // a joined device invites
		t.Errorf("%d devices", len(d.Devices()))
	}
	if _, err := NewJoiner(a.db, invite(t, a), "x", Options{}); !errs.Is(err, errs.Exist) {
		t.Errorf("join from inside an account: %v", err)
	}
}

// Two devices of one name could not be told apart in anything that is printed.
func TestJoinMakesNamesUnique(t *testing.T) {
	a, _ := create(t, "vm", Options{})
	long := strings.Repeat("é", MaxName/2)
	for _, step := range []struct{ asks, gets string }{
		{"vm", "vm-2"}, {"VM", "VM-3"}, {"vm-2", "vm-2-2"}, {"nas", "nas"},
		{long, long}, {long, long[:len(long)-2] + "-2"},
	} {
		b := join(t, a, step.asks, Options{})
		if got := b.Self().Name; got != step.gets || CheckName(got) != nil {
			t.Errorf("%q is called %q, want %q", step.asks, got, step.gets)
		}
		same(t, a, b)
	}
}

// same fails the test unless two devices are of one mind.
func same(t testing.TB, a, b *Account) {
	t.Helper()
	ra, _ := a.ReadKey(1)
	rb, err := b.ReadKey(1)
	if err != nil || ra != rb || a.ShareID() != b.ShareID() || a.AccountID() != b.AccountID() || !slices.Equal(a.Heads(), b.Heads()) {
		t.Fatalf("two devices differ: %v", err)
	}
	da, db := a.Devices(), b.Devices()
	if !slices.EqualFunc(da, db, func(x, y Device) bool {
		return x.ID == y.ID && x.Name == y.Name && x.Transport == y.Transport && x.Revoked == y.Revoked && x.Added.Equal(y.Added)
	}) {
		t.Fatalf("devices differ:\n%+v\n%+v", da, db)
	}
}

func TestTokenUsedTwice(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	tok := invite(t, a)
	if m := meet(t, a, joiner(t, newDB(t), tok, "first", Options{}), yes); m.joinErr != nil {
		t.Fatal(m.joinErr)
	}
	db := newDB(t)
	m := meet(t, a, joiner(t, db, tok, "second", Options{}), never(t))
	wantReason(t, "joiner", m.joinErr, TokenUsed)
	wantReason(t, "inviter", m.serveErr, TokenUsed)
	wantKind(t, "joiner", m.joinErr, errs.Refused)
	noAccount(t, db)
	if len(a.Devices()) != 2 {
		t.Errorf("%d devices", len(a.Devices()))
	}
	// The inviter forgets nothing when it restarts.
	again, err := Open(a.db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m = meet(t, again, joiner(t, newDB(t), tok, "third", Options{}), never(t))
	wantReason(t, "after a restart", m.joinErr, TokenUsed)
}

func TestTokenExpires(t *testing.T) {
	c := newClock()
	o := Options{Clock: c.Now}
	a, _ := create(t, "laptop", o)
	tok := invite(t, a)
	early := joiner(t, newDB(t), tok, "early", o)
	c.advance(InviteTTL - time.Minute)
	if !a.Inviting() || tok.Expired(c.Now()) {
		t.Error("expired early")
	}
	c.advance(time.Minute)
	if a.Inviting() || !tok.Expired(c.Now()) {
		t.Error("not expired")
	}
	for _, j := range []*Joiner{early, joiner(t, newDB(t), tok, "late", o)} {
		wantReason(t, "expired", meet(t, a, j, never(t)).joinErr, TokenExpired)
		noAccount(t, j.db)
	}

	c.advance(inviteKeep + time.Hour) // and one day it is forgotten
	invite(t, a)
	wantReason(t, "after a long time", meet(t, a, early, never(t)).joinErr, TokenUnknown)
	for _, ttl := range []time.Duration{-1, time.Millisecond, MaxInviteTTL + 1} {
		if _, err := a.NewInvite(ttl, nil); !errs.Is(err, errs.Invalid) {
			t.Errorf("ttl %v: %v", ttl, err)
		}
	}
}

// When a device has joined, its invitation is closed at the inviter: it may hang up and go.
func TestJoinEndsWhenTheInviterKnows(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	j := joiner(t, newDB(t), invite(t, a), "phone", Options{})
	there, here := streams(t)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_, _ = a.ServeJoin(t.Context(), transportOf(j.TransportKey()), here, yes)
	}()
	if _, err := j.Join(t.Context(), there, nil); err != nil {
		t.Fatal(err)
	}
	if a.Inviting() {
		t.Error("still inviting")
	}
	<-served
}

// The time of an invitation is by the clock of the device that made it, whatever the joining one's says.
func TestJoinerWithAnotherClock(t *testing.T) {
	for _, years := range []int{-20, 20} {
		a, _ := create(t, "laptop", Options{})
		off := Options{Clock: func() time.Time { return time.Now().AddDate(years, 0, 0) }}
		if m := meet(t, a, joiner(t, newDB(t), invite(t, a), "phone", off), yes); m.joinErr != nil {
			t.Errorf("%d years: %v", years, m.joinErr)
		}
	}
}

func TestTokenCancelled(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	tok := invite(t, a)
	if err := a.CancelInvite(tok); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "twice", a.CancelInvite(tok), TokenUnknown)
	used := invite(t, a)
	if m := meet(t, a, joiner(t, newDB(t), used, "phone", Options{}), yes); m.joinErr != nil {
		t.Fatal(m.joinErr)
	}
	wantReason(t, "used", a.CancelInvite(used), TokenUsed)
	wantKind(t, "used", a.CancelInvite(used), errs.NotExist)
	wantReason(t, "join", meet(t, a, joiner(t, newDB(t), tok, "nas", Options{}), never(t)).joinErr, TokenUnknown)
	if a.Inviting() {
		t.Error("still inviting")
	}
}

func TestPersonDeclines(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	tok := invite(t, a)
	db := newDB(t)
	j := joiner(t, db, tok, "nas", Options{})
	for name, no := range map[string]Approve{
		"no":    func(context.Context, Asker) (bool, error) { return false, nil },
		"error": func(context.Context, Asker) (bool, error) { return true, errors.New("terminal gone") },
	} {
		m := meet(t, a, j, no)
		wantReason(t, name, m.joinErr, Declined)
		wantReason(t, name, m.serveErr, Declined)
		noAccount(t, db)
	}
	if len(a.Devices()) != 1 {
		t.Fatal("admitted")
	}
	if m := meet(t, a, j, yes); m.joinErr != nil { // a no does not use the token up
		t.Fatal(m.joinErr)
	}
}

func TestInvitationAsksOnlySoOften(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	j := joiner(t, newDB(t), invite(t, a), "nas", Options{})
	no := func(context.Context, Asker) (bool, error) { return false, nil }
	for range maxAskers {
		wantReason(t, "asked", meet(t, a, j, no).joinErr, Declined)
	}
	wantReason(t, "asked once more", meet(t, a, j, never(t)).joinErr, TooMany)
}

func TestWrongInviter(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	b, _ := create(t, "another's laptop", Options{})
	tok := invite(t, a)
	j := joiner(t, newDB(t), tok, "nas", Options{})
	m := meet(t, b, j, never(t))
	wantReason(t, "honest stranger", m.joinErr, TokenUnknown)

	// Even one that has learnt the secret cannot answer under another transport key.
	b.mu.Lock()
	row, err := a.invite(tok.id())
	if err == nil {
		err = b.putInvite(tok.id(), &row)
	}
	b.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	m = meet(t, b, j, never(t))
	if m.joinErr == nil || m.serveErr == nil {
		t.Fatal("joined the wrong account")
	}
	noAccount(t, j.db)
	if len(b.Devices()) != 1 {
		t.Error("admitted")
	}
}

// Two, three, many ask with one token: one comes in, the others are told why not.
func TestSeveralAskers(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	tok := invite(t, a)
	const n = 6
	var asking atomic.Int32
	approve := func(context.Context, Asker) (bool, error) {
		if asking.Add(1) > 1 {
			t.Error("two questions at once")
		}
		time.Sleep(5 * time.Millisecond)
		asking.Add(-1)
		return true, nil
	}
	out := make([]meeting, n)
	var wg sync.WaitGroup
	for i := range n {
		j := joiner(t, newDB(t), tok, "nas", Options{})
		there, here := streams(t)
		wg.Go(func() { out[i] = meetOver(a, j, approve, transportOf(j.TransportKey()), there, here) })
	}
	wg.Wait()
	in := 0
	for _, m := range out {
		if m.joinErr == nil {
			in++
			continue
		}
		wantReason(t, "late asker", m.joinErr, TokenUsed)
	}
	if in != 1 || len(a.Devices()) != 2 {
		t.Errorf("%d came in, %d devices", in, len(a.Devices()))
	}
}

// An asker that goes away while the person thinks makes room for the next.
func TestAskerGoesAway(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	tok := invite(t, a)
	there, here := streams(t)
	j := joiner(t, newDB(t), tok, "first", Options{})
	asked := make(chan struct{})
	thinking := func(ctx context.Context, _ Asker) (bool, error) {
		close(asked)
		<-ctx.Done()
		return true, nil // too late
	}
	done := make(chan meeting, 1)
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		var m meeting
		m.device, m.serveErr = a.ServeJoin(context.Background(), transportOf(j.TransportKey()), here, thinking)
		done <- m
	}()
	go func() {
		<-asked
		leave()
	}()
	if _, err := j.Join(ctx, there, nil); !errs.Is(err, errs.Interrupted) {
		t.Errorf("join: %v", err)
	}
	m := <-done
	if !errs.Is(m.serveErr, errs.Offline) || !m.device.ID.IsZero() || len(a.Devices()) != 1 {
		t.Errorf("serve: %v, %+v, %d devices", m.serveErr, m.device, len(a.Devices()))
	}
	noAccount(t, j.db)
	if m := meet(t, a, joiner(t, newDB(t), tok, "second", Options{}), yes); m.joinErr != nil {
		t.Error(m.joinErr)
	}
}

// The person never answers: when the inviter stops, everything ends.
func TestInviterStops(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	j := joiner(t, newDB(t), invite(t, a), "nas", Options{})
	there, here := streams(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := a.ServeJoin(ctx, transportOf(j.TransportKey()), here, func(ctx context.Context, _ Asker) (bool, error) {
			stop()
			<-ctx.Done()
			return false, ctx.Err()
		})
		done <- err
	}()
	_, err := j.Join(context.Background(), there, nil)
	if err == nil {
		t.Error("joined")
	}
	wantKind(t, "serve", <-done, errs.Interrupted)
	if len(a.Devices()) != 1 {
		t.Error("admitted")
	}
}

func TestGuestsAreLimited(t *testing.T) {
	c := newClock()
	a, _ := create(t, "laptop", Options{Clock: c.Now})
	tok := Token{Inviter: a.Self().Transport, Expires: c.Now().Add(time.Hour)} // a guess
	j := joiner(t, newDB(t), tok, "guesser", Options{Clock: c.Now})
	for range guestBurst {
		wantReason(t, "guess", meet(t, a, j, never(t)).joinErr, TokenUnknown)
	}
	wantReason(t, "one guess too many", meet(t, a, j, never(t)).joinErr, TooMany)
	c.advance(guestRefill)
	wantReason(t, "later", meet(t, a, j, never(t)).joinErr, TokenUnknown)
}
