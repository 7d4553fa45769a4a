package daemon

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

// tableRestored: device → the newest of its incarnations that was looked at, and when that was
// noticed; without a device: this one has heard everything once, so that what has no row is in its first.
const tableRestored = '9'

// restoredTold is how long a restored device is told of. There is nothing to do about it but to know.
const restoredTold = 7 * 24 * time.Hour

type restoredRow struct {
	Incarnation uint32 `cbor:"1,keyasint"`
	Noticed     int64  `cbor:"2,keyasint"` // unix milliseconds; 0: it is not to be told
}

// restored notices devices that go on under a new incarnation: their homes were put back from a backup, or
// copied. It outlives restarts.
type restored struct {
	mu     sync.Mutex
	db     *kv.DB
	all    bool // somebody has told this device everything: what was there before is no news
	rows   map[ident.DeviceID]restoredRow
	frozen map[ident.DeviceID]bool // at the last look: their next incarnation is that of a device that was mended
}

func (r *restored) key(dev []byte) kv.Key { return r.db.Key(tableRestored, kv.Plain(dev)) }

func (r *restored) load(db *kv.DB) error {
	r.db, r.rows, r.frozen = db, map[ident.DeviceID]restoredRow{}, map[ident.DeviceID]bool{}
	prefix := db.Key(tableRestored)
	return db.Scan(prefix, func(k kv.Key, v []byte) bool {
		var row restoredRow
		switch k = k[len(prefix):]; {
		case len(k) == 0:
			r.all = true
		case len(k) == len(ident.DeviceID{}) && wire.Unmarshal(v, &row) == nil:
			r.rows[ident.DeviceID(k)] = row
		}
		return true
	})
}

// look compares the incarnations that are known now with those of the last look. quiet: they are not to be told.
func (r *restored) look(names *namespace.Replica, now time.Time, quiet bool) error {
	incarnations := names.Incarnations()
	frozen := map[ident.DeviceID]bool{}
	for _, f := range names.Frozen() {
		frozen[f.Writer.Device] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.db.Batch()
	defer b.Close()
	for dev, n := range incarnations {
		if n <= max(1, r.rows[dev].Incarnation) {
			continue
		}
		row := restoredRow{Incarnation: n}
		if r.all && !quiet && !r.frozen[dev] {
			row.Noticed = now.UnixMilli()
		}
		r.rows[dev] = row
		if err := b.Set(r.key(dev[:]), wire.Marshal(row)); err != nil {
			return err
		}
	}
	r.frozen = frozen
	if !r.all {
		r.all = true
		if err := b.Set(r.key(nil), nil); err != nil {
			return err
		}
	}
	return b.Commit(kv.NoSync)
}

// heard reports whether that was so at some look.
func (r *restored) heard() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

// noticed is when a device was noticed to be restored, if that is still to be told.
func (r *restored) noticed(dev ident.DeviceID, now time.Time) *time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := time.UnixMilli(r.rows[dev].Noticed)
	if r.rows[dev].Noticed == 0 || now.Sub(t) > restoredTold {
		return nil
	}
	return &t
}

// watchRestored looks whenever the namespace has news. A device that has just joined hears first what was
// before its time.
func (p *parts) watchRestored(ctx context.Context) {
	if !p.restored.heard() && len(p.memberIDs()) > 1 {
		select {
		case <-ctx.Done():
			return
		case <-p.replicator.Completed():
		}
	}
	for {
		news := p.replicator.Renewed()
		p.lookRestored(false)
		select {
		case <-ctx.Done():
			return
		case <-news:
		}
	}
}

func (p *parts) lookRestored(quiet bool) {
	if err := p.restored.look(p.names, time.Now(), quiet); err != nil {
		p.log.Warn("a restored device could not be noted", "err", err)
	}
}

// restoredDevices lists those that are to be told.
func (d *daemon) restoredDevices() []controlapi.RestoredDevice {
	out := []controlapi.RestoredDevice{}
	twice := d.replicator.Twice() // of those that is told, and what else they are follows from it
	for _, dev := range d.living() {
		if slices.Contains(twice, dev.ID) {
			continue
		}
		if t := d.restored.noticed(dev.ID, time.Now()); t != nil {
			out = append(out, controlapi.RestoredDevice{DeviceName: d.named(dev.ID), Self: dev.ID == d.self(), Noticed: *t})
		}
	}
	return out
}

// restoredWarnings says what it means.
func restoredWarnings(list []controlapi.RestoredDevice) (out []string) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b controlapi.RestoredDevice) int { return a.Noticed.Compare(b.Noticed) })
	for _, x := range list {
		who, own := x.Name, "What was written there after the backup was made, and no other device had, is not in it"
		if x.Self {
			who, own = "this device", "What was written here after the backup was made, and no other device had, is not in it"
		}
		out = append(out, "The home of "+who+" was put back from a backup or an image, or copied to another disk; this was noticed on "+
			x.Noticed.Local().Format("2006-01-02 at 15:04")+". "+own+"; all else is there or comes, and where two sides changed a file, both versions stay (shelf conflicts).")
	}
	return out
}
