package share

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// newDB opens a store in a folder of its own.
func newDB(t testing.TB) *kv.DB {
	t.Helper()
	return openDB(t, t.TempDir())
}

func openDB(t testing.TB, dir string) *kv.DB {
	t.Helper()
	db, err := kv.Open(dir, [32]byte{1}, kv.Options{FreeFloor: -1, Ballast: -1, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func create(t testing.TB, name string, o Options) (*Account, string) {
	t.Helper()
	a, phrase, err := Create(newDB(t), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return a, phrase
}

// conn is a TCP connection as a wire.Stream.
type conn struct{ *net.TCPConn }

func (c conn) Reset() error {
	_ = c.SetLinger(0)
	return c.Close()
}

// streams returns both ends of a connection over loopback.
func streams(t testing.TB) (a, b conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		got <- c
	}()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	in := <-got
	if in == nil {
		t.Fatal("no connection")
	}
	a, b = conn{out.(*net.TCPConn)}, conn{in.(*net.TCPConn)}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

func yes(context.Context, Asker) (bool, error) { return true, nil }

func never(t testing.TB) Approve {
	return func(context.Context, Asker) (bool, error) {
		t.Error("a person was asked")
		return false, nil
	}
}

func transportOf(k ed25519.PrivateKey) ident.TransportKey {
	return ident.TransportKey(k.Public().(ed25519.PublicKey))
}

// meeting is what came out of one join.
type meeting struct {
	account  *Account // on the joining side
	joinErr  error
	device   Device // on the inviting side
	serveErr error
	code     string // shown on the joining side
}

// meet runs one join between an inviter and a joiner over a fresh connection.
func meet(t testing.TB, a *Account, j *Joiner, approve Approve) meeting {
	t.Helper()
	there, here := streams(t)
	return meetOver(a, j, approve, transportOf(j.TransportKey()), there, here)
}

// meetOver runs one join where the inviter has the end here and believes the other end to
// be peer.
func meetOver(a *Account, j *Joiner, approve Approve, peer ident.TransportKey, there, here conn) (m meeting) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { m.device, m.serveErr = a.ServeJoin(ctx, peer, here, approve) })
	m.account, m.joinErr = j.Join(ctx, there, func(code string) { m.code = code })
	wg.Wait()
	return m
}

func invite(t testing.TB, a *Account) Token {
	t.Helper()
	tok, err := a.NewInvite(0, []string{"/ip4/127.0.0.1/tcp/4001"})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func joiner(t testing.TB, db *kv.DB, tok Token, name string, o Options) *Joiner {
	t.Helper()
	j, err := NewJoiner(db, tok, name, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// join lets a new device in and returns its account.
func join(t testing.TB, a *Account, name string, o Options) *Account {
	t.Helper()
	m := meet(t, a, joiner(t, newDB(t), invite(t, a), name, o), yes)
	if m.joinErr != nil || m.serveErr != nil {
		t.Fatalf("join: %v; serve: %v", m.joinErr, m.serveErr)
	}
	return m.account
}

// sync exchanges entries both ways.
func syncLogs(t testing.TB, a, b *Account) {
	t.Helper()
	for range 2 {
		if _, err := b.Merge(a.EntriesSince(b.Heads())); err != nil {
			t.Fatal(err)
		}
		a, b = b, a
	}
}

// noAccount fails the test if a store holds anything of an account.
func noAccount(t testing.TB, db *kv.DB) {
	t.Helper()
	if _, err := Open(db, Options{}); !errs.Is(err, errs.NotExist) {
		t.Fatalf("Open: %v, want NotExist", err)
	}
	for _, table := range []byte{tableAccount, tableShare, tableInvites} {
		if err := db.ScanKeys(db.Key(table), func(kv.Key) bool {
			t.Fatalf("a row in table %c", table)
			return false
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func wantReason(t testing.TB, what string, err error, want Reason) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func wantKind(t testing.TB, what string, err error, want errs.Kind) {
	t.Helper()
	if !errs.Is(err, want) {
		t.Errorf("%s: %v, want kind %q", what, err, want)
	}
}
