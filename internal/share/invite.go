package share

import (
	"crypto/ed25519"
	"crypto/rand"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/wire"
)

// InviteTTL is how long an invitation is good for unless somebody says otherwise, and
// MaxInviteTTL the longest.
const (
	InviteTTL    = 24 * time.Hour
	MaxInviteTTL = 7 * 24 * time.Hour
)

// inviteKeep is how long a dead invitation is remembered, so that its late bearer is told
// "used" or "expired" rather than "unknown".
const inviteKeep = 30 * 24 * time.Hour

// inviteState is where an invitation stands. The numbers are stored.
type inviteState uint8

const (
	inviteOpen     inviteState = 0
	inviteAdmitted inviteState = 1 // a device is in the account, and may not know it yet
	inviteDone     inviteState = 2 // that device has said that it is complete
)

// inviteRow is an invitation at rest. Secret is empty once it is done.
type inviteRow struct {
	_       struct{} `cbor:",toarray"`
	Version uint8
	Secret  []byte
	Expires int64 // seconds since 1970
	State   inviteState
	Device  []byte // whom it let in
}

func inviteVersion(r *inviteRow) uint8 { return r.Version }

// NewInvite makes an invitation that lets one device in, for ttl (0: InviteTTL). addrs are
// the multiaddrs at which this device can be reached. It is durable before it is returned.
func (a *Account) NewInvite(ttl time.Duration, addrs []string) (Token, error) {
	const op = "share.NewInvite"
	if ttl == 0 {
		ttl = InviteTTL
	}
	if ttl < time.Second || ttl > MaxInviteTTL {
		return Token{}, errs.E(op, errs.Invalid, "an invitation lasts between a second and a week", nil)
	}
	if a.Self().Revoked {
		return Token{}, errs.E(op, errs.Forbidden, "this device has been revoked", nil)
	}
	now := a.opt.Clock()
	t := Token{Inviter: ident.TransportKey(a.keys.transport.Public().(ed25519.PublicKey)), Expires: time.Unix(now.Add(ttl).Unix(), 0)}
	for _, addr := range addrs {
		if len(addr) <= maxAddrText && len(t.Addrs) < maxTokenAddrs {
			t.Addrs = append(t.Addrs, addr)
		}
	}
	rand.Read(t.Secret[:])

	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.db.Batch()
	defer b.Close()
	err := a.eachInvite(func(k kv.Key, r inviteRow) error {
		if now.After(time.Unix(r.Expires, 0).Add(inviteKeep)) {
			return b.Delete(k)
		}
		return nil
	})
	if err != nil {
		return Token{}, errs.E(op, errs.Other, "", err)
	}
	row := inviteRow{Version: rowVersion, Secret: t.Secret[:], Expires: t.Expires.Unix(), Device: []byte{}}
	if err := b.Set(inviteKey(a.db, t.id()), wire.Marshal(row)); err != nil {
		return Token{}, errs.E(op, errs.Other, "", err)
	}
	if err := b.Commit(kv.Sync); err != nil {
		return Token{}, errs.E(op, errs.Other, "", err)
	}
	return t, nil
}

// CancelInvite makes an invitation that nobody has used worthless. NotExist if there is none
// (TokenUnknown) or it was used (TokenUsed).
func (a *Account) CancelInvite(t Token) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.openInvite(t.id()); errs.Is(err, errs.Refused) {
		return errs.E("share.CancelInvite", errs.NotExist, "", err)
	} else if err != nil {
		return err
	}
	return a.putInvite(t.id(), nil)
}

// Inviting reports whether a device that this account does not know may ask to join now:
// some invitation is open, or the device that it let in has not finished.
func (a *Account) Inviting() bool {
	open, now := false, a.opt.Clock().Unix()
	err := a.eachInvite(func(_ kv.Key, r inviteRow) error {
		open = open || r.State != inviteDone && now < r.Expires
		return nil
	})
	if err != nil {
		a.opt.Log.Warn("invitations cannot be read", "err", err)
	}
	return open
}

// invite reads an invitation: TokenUnknown if there is none.
func (a *Account) invite(id inviteID) (inviteRow, error) {
	row, err := getRow(a.db, inviteKey(a.db, id), inviteVersion)
	if errs.Is(err, errs.NotExist) {
		err = refused("share.invite", TokenUnknown)
	}
	return row, err
}

// openInvite reads an invitation that must not have let anybody in yet: TokenUsed if it has.
func (a *Account) openInvite(id inviteID) (inviteRow, error) {
	row, err := a.invite(id)
	if err == nil && row.State != inviteOpen {
		err = refused("share.invite", TokenUsed)
	}
	return row, err
}

// putInvite writes an invitation durably, or deletes it.
func (a *Account) putInvite(id inviteID, row *inviteRow) error {
	b := a.db.Batch()
	defer b.Close()
	var err error
	if row == nil {
		err = b.Delete(inviteKey(a.db, id))
	} else {
		err = b.Set(inviteKey(a.db, id), wire.Marshal(*row))
	}
	if err != nil {
		return err
	}
	return b.Commit(kv.Sync)
}

// eachInvite calls fn for every readable invitation.
func (a *Account) eachInvite(fn func(kv.Key, inviteRow) error) error {
	var ferr error
	err := a.db.Scan(a.db.Key(tableInvites), func(k kv.Key, value []byte) bool {
		var row inviteRow
		if decodeRow(value, &row, inviteVersion) != nil {
			return true // written by a newer Shelf: not ours to judge
		}
		ferr = fn(k.Clone(), row)
		return ferr == nil
	})
	if err == nil {
		err = ferr
	}
	return err
}
