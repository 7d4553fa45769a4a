package share

import (
	"crypto/ed25519"
	"crypto/subtle"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// Options of Create, Open and NewJoiner; the zero value is usable.
type Options struct {
	Clock func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: silent
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Account is this device's membership: its own keys, the account's devices, the share's
// keys. Readers never block; all methods may be called by any number of goroutines.
type Account struct {
	db   *kv.DB
	keys deviceKeys
	opt  Options

	now    atomic.Pointer[view]
	guests *guests // limits on who asks to join

	mu      sync.Mutex // serialises changes; held over writes to db, never over network or people
	changed atomic.Pointer[chan struct{}]
}

func newAccount(db *kv.DB, keys deviceKeys, v *view, o Options) *Account {
	a := &Account{db: db, keys: keys, opt: o, guests: newGuests(o.Clock)}
	a.changed.Store(new(make(chan struct{})))
	a.now.Store(v)
	return a
}

// AccountID and ShareID name the account and its share.
func (a *Account) AccountID() ident.AccountID { return a.now.Load().accountID() }
func (a *Account) ShareID() ident.ShareID     { return a.now.Load().shareID() }

// SigningKey signs this device's records; TransportKey proves who it is to peers.
func (a *Account) SigningKey() ed25519.PrivateKey   { return a.keys.sign }
func (a *Account) TransportKey() ed25519.PrivateKey { return a.keys.transport }

// Epoch is the share's present epoch.
func (a *Account) Epoch() uint32 { return 1 }

// ReadKey is RK_e, from which all keys for blocks and records come. NotExist for an epoch
// that this device was not granted.
func (a *Account) ReadKey(epoch uint32) ([32]byte, error) {
	v := a.now.Load()
	secret, ok := v.secrets[epoch]
	if !ok {
		return [32]byte{}, errs.E("share.ReadKey", errs.NotExist, "no key for this epoch", nil)
	}
	return readKey(secret, v.shareID(), epoch), nil
}

// BlindKey is BK_e, by which peers prove to each other that they are in the share.
func (a *Account) BlindKey(epoch uint32) ([32]byte, error) {
	read, err := a.ReadKey(epoch)
	if err != nil {
		return read, err
	}
	return blindKey(read, a.ShareID(), epoch), nil
}

// Self is this device. Its Revoked turns true when another device has ended it.
func (a *Account) Self() Device {
	if d, ok := a.Device(a.keys.id()); ok {
		return d
	}
	// The device that admitted this one was revoked as of a time before it did.
	return Device{ID: a.keys.id(), Transport: ident.TransportKey(a.keys.transport.Public().(ed25519.PublicKey)), Revoked: true}
}

// Devices lists all devices, revoked ones too, in the order of admission, which is the
// same on every device.
func (a *Account) Devices() []Device {
	v := a.now.Load()
	out := make([]Device, len(v.order))
	for i, id := range v.order {
		out[i] = v.devices[id]
	}
	return out
}

// Device returns a device, revoked or not.
func (a *Account) Device(id ident.DeviceID) (Device, bool) {
	d, ok := a.now.Load().devices[id]
	return d, ok
}

// Member reports whether id is a device of the account and not revoked.
func (a *Account) Member(id ident.DeviceID) bool {
	d, ok := a.Device(id)
	return ok && !d.Revoked
}

// Allowed finds the device behind a transport key; false for strangers and for revoked
// devices.
func (a *Account) Allowed(t ident.TransportKey) (ident.DeviceID, bool) {
	v := a.now.Load()
	id, ok := v.transports[t]
	return id, ok && !v.devices[id].Revoked
}

// Name is the display name of a device; for one that is not in the log, a short form of
// its id.
func (a *Account) Name(id ident.DeviceID) string {
	if d, ok := a.Device(id); ok {
		return d.Name
	}
	return id.Short()
}

// Changed returns a channel that is closed at the next change of devices or keys.
func (a *Account) Changed() <-chan struct{} {
	return *a.changed.Load()
}

// Heads sums up which entries this device has.
func (a *Account) Heads() []Hash {
	v := a.now.Load()
	return append(slices.Clone(v.account.heads), v.share.heads...)
}

// EntriesSince returns the entries that a peer with these heads lacks, each after all that
// it builds on. Each is at most 16 KiB; heads of a peer that is ahead are ignored.
func (a *Account) EntriesSince(heads []Hash) [][]byte {
	v := a.now.Load()
	return append(v.account.since(heads), v.share.since(heads)...)
}

// Merge accepts entries from a peer, in any order, and returns how many were new. Every
// entry is verified; good ones are kept, durably, even if others are bad, and the first
// error is returned: Corrupt (forged or damaged), Refused (signed by a stranger), NotExist
// (an entry that it builds on is missing), Unsupported (written by a newer Shelf), TooLarge.
func (a *Account) Merge(entries [][]byte) (added int, err error) {
	var good []*entry
	for _, raw := range entries {
		e, perr := parseEntry(raw)
		if perr == nil {
			good = append(good, e)
		} else if err == nil {
			err = perr
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.now.Load()
	account, share := v.account.clone(), v.share.clone()
	added, aerr := admitAll(account, share, good)
	if err == nil {
		err = aerr
	}
	if added > 0 {
		if serr := a.advance(account, share, nil); serr != nil {
			return 0, serr
		}
	}
	return added, err
}

// CheckPhrase reports whether a recovery phrase is this account's: Invalid if it cannot be
// any phrase (a typing mistake), Refused if it is another account's.
func (a *Account) CheckPhrase(phrase string) error {
	r, err := parsePhrase(phrase)
	if err != nil {
		return err
	}
	id, want := r.id(), a.now.Load().rootKey()
	if subtle.ConstantTimeCompare(id[:], want[:]) != 1 {
		return errs.E("share.CheckPhrase", errs.Refused, "this is the recovery phrase of another account", nil)
	}
	return nil
}

// Rename gives a device another name.
func (a *Account) Rename(id ident.DeviceID, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.now.Load()
	if _, ok := v.devices[id]; !ok {
		return errs.E("share.Rename", errs.NotExist, id.Short(), nil)
	}
	return a.say(nil, statement{accountLog, kindRename, &rename{Device: id[:], Name: name}})
}

// Revoke ends a device: nothing that it says from now on counts, and peers close the
// connection. What it has already read stays readable to it. Invalid for this device itself.
func (a *Account) Revoke(id ident.DeviceID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	d, ok := a.now.Load().devices[id]
	switch {
	case !ok:
		return errs.E("share.Revoke", errs.NotExist, id.Short(), nil)
	case id == a.keys.id():
		return errs.E("share.Revoke", errs.Invalid, "a device cannot revoke itself: do it on another one", nil)
	case d.Revoked:
		return nil
	}
	return a.say(nil, statement{accountLog, kindRevoke, &removal{Device: id[:]}})
}
