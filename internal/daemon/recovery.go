package daemon

import (
	"context"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/wire"
)

// tableConfirmed holds when somebody proved to have the recovery phrase, in unix milliseconds.
const tableConfirmed = '7'

// confirmed is nil until somebody has.
func (p *parts) confirmed() (*time.Time, error) {
	v, err := p.meta.Get(p.meta.Key(tableConfirmed))
	if errs.Is(err, errs.NotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ms int64
	if err := wire.Unmarshal(v, &ms); err != nil {
		return nil, err
	}
	return new(time.UnixMilli(ms)), nil
}

// Recovery implements control.Recoverer.
func (d *daemon) Recovery(context.Context) (controlapi.Recovery, error) {
	at, err := d.confirmed()
	return controlapi.Recovery{Confirmed: at != nil, ConfirmedAt: at}, err
}

// ConfirmRecovery implements control.Recoverer.
func (d *daemon) ConfirmRecovery(_ context.Context, phrase string) error {
	if err := d.account.CheckPhrase(phrase); err != nil {
		return controlapi.E(controlapi.KindWrongPhrase, "type all 24 words in their order", "this is not the recovery phrase of this account")
	}
	b := d.meta.Batch()
	if err := b.Set(d.meta.Key(tableConfirmed), wire.Marshal(time.Now().UnixMilli())); err != nil {
		b.Close()
		return err
	}
	return b.Commit(kv.Sync)
}
