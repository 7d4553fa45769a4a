package share

import (
	"crypto/ed25519"
	"crypto/rand"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/wire"
)

// shareName is the one share that an account has for now.
const shareName = "home"

// Create makes a new account with this device as its first, and the share "home" in epoch
// 1. It returns the recovery phrase, which is kept nowhere: it must be shown to the user.
// Exist if the store has an account already.
func Create(db *kv.DB, deviceName string, o Options) (*Account, string, error) {
	const op = "share.Create"
	o = o.withDefaults()
	if err := CheckName(deviceName); err != nil {
		return nil, "", err
	}
	if err := vacant(op, db); err != nil {
		return nil, "", err
	}
	phrase, root := newPhrase()
	keys := newDeviceKeys()
	now := o.Clock()

	gen, err := newEntry(root.sign, accountLog, nil, kindAccount, now, &accountGenesis{
		Root: root.sign.Public().(ed25519.PublicKey), Recovery: root.kem.PublicKey().Bytes(), Device: keys.describe(deviceName)})
	if err != nil {
		return nil, "", err
	}
	account := ident.AccountID(gen.hash)

	var secret [32]byte
	rand.Read(secret[:])
	commit := commitment(secret, account, 1)
	first, err := newEntry(keys.sign, shareLog, nil, kindShare, now, &shareGenesis{
		Account: account[:], Name: shareName, Commitment: commit[:]})
	if err != nil {
		return nil, "", err
	}
	entries := []*entry{gen, first}
	prev := first.hash
	for _, to := range []struct {
		id  ident.DeviceID
		kem []byte
	}{{root.id(), root.kem.PublicKey().Bytes()}, {keys.id(), keys.kem.PublicKey().Bytes()}} {
		w, err := wrap(to.kem, ident.ShareID(first.hash), 1, to.id, secret)
		if err != nil {
			return nil, "", err
		}
		g, err := newEntry(keys.sign, shareLog, []Hash{prev}, kindGrant, now, &grant{Epoch: 1, Recipient: to.id[:], Wrap: w})
		if err != nil {
			return nil, "", err
		}
		entries, prev = append(entries, g), g.hash
	}
	a, err := found(db, keys, entries, o)
	if err != nil {
		return nil, "", err
	}
	return a, phrase, nil
}

// Open loads the account of a store. NotExist if there is none; Corrupt if what is there
// does not hold together.
func Open(db *kv.DB, o Options) (*Account, error) {
	const op = "share.Open"
	o = o.withDefaults()
	row, err := getRow(db, selfKey(db), selfVersion)
	if errs.Is(err, errs.NotExist) {
		return nil, errs.E(op, errs.NotExist, "no account here yet", nil)
	}
	if err != nil {
		return nil, errs.E(op, errs.Other, "", err)
	}
	keys, err := row.Keys.keys()
	if err != nil {
		return nil, err
	}
	account, err := loadEntries(db, tableAccount)
	if err != nil {
		return nil, errs.E(op, errs.Other, "account log", err)
	}
	share, err := loadEntries(db, tableShare)
	if err != nil {
		return nil, errs.E(op, errs.Other, "share log", err)
	}
	v, err := assemble(append(account, share...), keys.recipient())
	if err != nil {
		return nil, errs.E(op, errs.Corrupt, "", err)
	}
	if string(row.Account) != string(v.account.genesis().hash[:]) || string(row.Share) != string(v.share.genesis().hash[:]) {
		return nil, errs.E(op, errs.Corrupt, "the logs are not of the account that this device is in", nil)
	}
	return newAccount(db, keys, v, o), nil
}

// vacant reports Exist if the store has an account.
func vacant(op string, db *kv.DB) error {
	has, err := db.Has(selfKey(db))
	if err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	if has {
		return errs.E(op, errs.Exist, "this device is in an account already", nil)
	}
	return nil
}

// assemble builds a view from complete logs, refusing any entry that does not fit.
func assemble(entries []*entry, self recipient) (*view, error) {
	account, share := newLog(accountLog), newLog(shareLog)
	if _, err := admitAll(account, share, entries); err != nil {
		return nil, err
	}
	if len(account.nodes) == 0 || len(share.nodes) == 0 {
		return nil, errs.E("share.assemble", errs.Corrupt, "a log is empty", nil)
	}
	return newView(account, share, self)
}

// found makes an account durable in one step: own keys and both logs, and the end of a
// join in progress.
func found(db *kv.DB, keys deviceKeys, entries []*entry, o Options) (*Account, error) {
	v, err := assemble(entries, keys.recipient())
	if err != nil {
		return nil, err
	}
	account, share := v.accountID(), v.shareID()
	row := selfRow{Version: rowVersion, Keys: keys.seeds(), Account: account[:], Share: share[:]}

	b := db.Batch()
	defer b.Close()
	for _, table := range []byte{tableAccount, tableShare, tableInvites} {
		if err := b.DeletePrefix(db.Key(table)); err != nil {
			return nil, err
		}
	}
	if err := putEntries(db, b, tableAccount, newLog(accountLog), v.account); err != nil {
		return nil, err
	}
	if err := putEntries(db, b, tableShare, newLog(shareLog), v.share); err != nil {
		return nil, err
	}
	if err := b.Set(selfKey(db), wire.Marshal(row)); err != nil {
		return nil, err
	}
	if err := b.Delete(joinKey(db)); err != nil {
		return nil, err
	}
	if err := b.Commit(kv.Sync); err != nil {
		return nil, err
	}
	return newAccount(db, keys, v, o), nil
}
