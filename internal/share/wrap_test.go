package share

import (
	"testing"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

func TestWrap(t *testing.T) {
	key, other := newKEM(), newKEM()
	share, to, secret := ident.ShareID{1}, ident.DeviceID{2}, [32]byte{3}
	w, err := wrap(key.PublicKey().Bytes(), share, 1, to, secret)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unwrap(key, share, 1, to, w); err != nil || got != secret {
		t.Fatalf("%x, %v", got, err)
	}
	try := func(name string, err error) {
		t.Helper()
		wantKind(t, name, err, errs.Corrupt)
	}
	_, err = unwrap(other, share, 1, to, w)
	try("the wrong device", err)
	_, err = unwrap(key, ident.ShareID{9}, 1, to, w)
	try("another share", err)
	_, err = unwrap(key, share, 2, to, w)
	try("another epoch", err)
	_, err = unwrap(key, share, 1, ident.DeviceID{9}, w)
	try("another recipient", err)
	for i := 0; i < len(w)*8; i += 3 { // each byte, and all eight places of a bit
		w[i/8] ^= 1 << (i % 8)
		if _, err := unwrap(key, share, 1, to, w); err == nil {
			t.Fatalf("bit %d changed and opened", i)
		}
		w[i/8] ^= 1 << (i % 8)
	}
	for n := range w {
		if _, err := unwrap(key, share, 1, to, w[:n]); err == nil {
			t.Fatalf("cut to %d bytes and opened", n)
		}
	}
	_, err = wrap([]byte("no key"), share, 1, to, secret)
	wantKind(t, "a bad public key", err, errs.Invalid)
}

// A device that is given another secret than the log committed to does not take it, even
// from a member.
func TestKeyCommittedDifferently(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	keys := newDeviceKeys()
	id := keys.id()
	d := keys.describe("nas")
	w, err := wrap(d.KEM, a.ShareID(), 1, id, [32]byte{66})
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	err = a.say(nil, statement{accountLog, kindAdd, &d}, statement{shareLog, kindGrant, &grant{Epoch: 1, Recipient: id[:], Wrap: w}})
	a.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	view := func() (*view, error) { return newView(a.now.Load().account, a.now.Load().share, keys.recipient()) }
	if _, err := view(); !errs.Is(err, errs.Corrupt) {
		t.Errorf("false secret: %v", err)
	}
	// A good grant beside the false one is found.
	w, err = wrap(d.KEM, a.ShareID(), 1, id, a.now.Load().secrets[1])
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	err = a.say(nil, statement{shareLog, kindGrant, &grant{Epoch: 1, Recipient: id[:], Wrap: w}})
	a.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if v, err := view(); err != nil || v.secrets[1] != a.now.Load().secrets[1] {
		t.Errorf("good grant: %v", err)
	}
}
