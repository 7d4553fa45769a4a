package share

import (
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// statement is something that this device wants to say in a log.
type statement struct {
	log  logKind
	kind kind
	data payload
}

// say signs statements and makes them durable together with what also adds to the batch
// (nil for nothing). The caller holds a.mu. Forbidden if this device is revoked.
func (a *Account) say(also func(*kv.Batch) error, statements ...statement) error {
	if a.Self().Revoked {
		return errs.E("share.say", errs.Forbidden, "this device has been revoked", nil)
	}
	v := a.now.Load()
	account, share := v.account.clone(), v.share.clone()
	for _, s := range statements {
		l := account
		if s.log == shareLog {
			l = share
		}
		e, err := newEntry(a.keys.sign, s.log, l.joinable(), s.kind, a.opt.Clock(), s.data)
		if err != nil {
			return err
		}
		if _, err := admit(account, share, e); err != nil {
			return err
		}
	}
	return a.advance(account, share, also)
}

// advance makes longer logs durable, then visible, then wakes those who wait for a change.
// The caller holds a.mu.
func (a *Account) advance(account, share *log, also func(*kv.Batch) error) error {
	v := a.now.Load()
	next, err := newView(account, share, a.keys.recipient())
	if err != nil {
		return err
	}
	b := a.db.Batch()
	defer b.Close()
	if err := putEntries(a.db, b, tableAccount, v.account, account); err != nil {
		return err
	}
	if err := putEntries(a.db, b, tableShare, v.share, share); err != nil {
		return err
	}
	if also != nil {
		if err := also(b); err != nil {
			return err
		}
	}
	if err := b.Commit(kv.Sync); err != nil {
		return err
	}
	a.now.Store(next)
	close(*a.changed.Swap(new(make(chan struct{}))))
	return nil
}
