package share

import (
	"bytes"
	"slices"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// apart is a first device, a second that knows nothing of what came later, and a third that the first let in.
func apart(t testing.TB) (a, b, c *Account) {
	a, _ = create(t, "a", Options{})
	b = join(t, a, "b", Options{})
	if err := a.Rename(b.Self().ID, "second"); err != nil {
		t.Fatal(err)
	}
	return a, b, join(t, a, "c", Options{})
}

// entriesIn are the entries of a message.
func entriesIn(t testing.TB, message []byte) (out [][]byte) {
	t.Helper()
	if err := wire.Unmarshal(message, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecognise(t *testing.T) {
	a, b, c := apart(t)
	changed := b.Changed()
	if err := b.Recognise(c.Self().Transport, c.Credentials()); err != nil {
		t.Fatal(err)
	}
	if !b.Member(c.Self().ID) || b.Name(c.Self().ID) != "c" {
		t.Error("c is not known")
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	kept, err := Open(b.db, Options{})
	if err != nil || !kept.Member(c.Self().ID) {
		t.Error("it is not durable:", err)
	}
	syncLogs(t, b, c)
	syncLogs(t, a, b)
	if err := a.Recognise(c.Self().Transport, c.Credentials()); err != nil { // a knows it all
		t.Error(err)
	}
}

// What a member could say, a stranger cannot: nothing of it is kept.
func TestRecogniseRefuses(t *testing.T) {
	a, b, c := apart(t)
	good := c.Credentials()
	foreign, _ := create(t, "x", Options{})
	gone := join(t, a, "gone", Options{})
	syncLogs(t, a, b)
	if err := b.Revoke(gone.Self().ID); err != nil {
		t.Fatal(err)
	}
	before := b.Heads()
	if err := gone.Rename(a.Self().ID, "junk"); err != nil {
		t.Fatal(err)
	}
	child := join(t, gone, "child", Options{})
	b2 := join(t, foreign, "y", Options{}) // of another account
	_, fresh, newcomer := apart(t)
	start := fresh.Heads()
	flipped := bytes.Clone(newcomer.Credentials())
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct {
		at      *Account
		who     ident.TransportKey
		message []byte
		want    errs.Kind
	}{
		"revoked":                        {b, gone.Self().Transport, gone.Credentials(), errs.Refused},
		"revoked, with its junk":         {b, gone.Self().Transport, wire.Marshal(gone.EntriesSince(nil)), errs.Corrupt}, // the other log is none of theirs
		"let in by a revoked one":        {b, child.Self().Transport, child.Credentials(), errs.Refused},
		"of another account":             {b, b2.Self().Transport, b2.Credentials(), errs.Corrupt},
		"nothing":                        {b, foreign.Self().Transport, nil, errs.Protocol},
		"no entries":                     {b, foreign.Self().Transport, wire.Marshal([][]byte{}), errs.Refused},
		"the credentials of another":     {fresh, foreign.Self().Transport, newcomer.Credentials(), errs.Refused},
		"a member's, and another's key":  {b, foreign.Self().Transport, good, errs.Refused},
		"a changed bit":                  {fresh, newcomer.Self().Transport, flipped, errs.Corrupt},
		"an entry is missing":            {fresh, newcomer.Self().Transport, wire.Marshal(slices.Delete(entriesIn(t, newcomer.Credentials()), 2, 3)), errs.NotExist},
		"too long":                       {fresh, newcomer.Self().Transport, make([]byte, MaxCredentials+1), errs.Protocol},
		"something false after the good": {fresh, newcomer.Self().Transport, wire.Marshal(append(entriesIn(t, newcomer.Credentials()), []byte{1})), errs.Corrupt},
	} {
		wantKind(t, name, c.at.Recognise(c.who, c.message), c.want)
	}
	if !slices.Equal(b.Heads(), before) || !slices.Equal(fresh.Heads(), start) {
		t.Error("something of it was kept")
	}
	if b.Member(gone.Self().ID) || b.Member(child.Self().ID) || fresh.Member(newcomer.Self().ID) {
		t.Error("a stranger was let in")
	}
}

// A long log does not make a message that nobody takes.
func TestCredentialsAreBounded(t *testing.T) {
	a, _ := create(t, "a", Options{})
	for i := range 1000 {
		if err := a.Rename(a.Self().ID, "a"+string(rune('a'+i%26))+"-with-a-name-as-long-as-names-may-be-or-nearly-so-long"); err != nil {
			t.Fatal(err)
		}
	}
	b := join(t, a, "b", Options{})
	c := join(t, a, "c", Options{})
	m := c.Credentials()
	if len(m) > MaxCredentials || len(m) < MaxCredentials/2 {
		t.Errorf("%d bytes", len(m))
	}
	if err := b.Recognise(c.Self().Transport, m); err != nil {
		t.Error("only what b has was left out:", err)
	}
}

// FuzzRecognise: whatever a stranger says, nothing of it stays.
func FuzzRecognise(f *testing.F) {
	_, b, c := apart(f)
	heads, stranger := b.Heads(), ident.TransportKey{1}
	f.Add(c.Credentials())
	f.Add(wire.Marshal(c.EntriesSince(nil)))
	f.Add(wire.Marshal([][]byte{{}}))
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, message []byte) {
		if b.Recognise(stranger, message) == nil || !slices.Equal(b.Heads(), heads) {
			t.Error("heard")
		}
	})
}
