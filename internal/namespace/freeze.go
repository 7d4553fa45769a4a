package namespace

import (
	"maps"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
	"github.com/shelffs/shelf/internal/wire"
)

// A writer that has signed what no program of this format writes, be it by a fault or by
// malice, is frozen: from that record on nothing of its log is applied or claimed, whoever
// brings it. Its batches are still stored and passed on, what it wrote before stays, and all
// other writers go on. There are two ways out. The device itself, once it is mended, begins a
// new incarnation that writes its work since then again (Thaw there): that closes the frozen
// log on every device. Or this replica learns better, and has what it refused come again (Thaw
// here).

// Freeze says that a writer's records are refused.
type Freeze struct {
	Writer ident.Writer
	From   uint64 // sequence number of the first refused
	Upto   uint64 // and of the last that is known of
	Why    string // what was wrong with it, in two words
	Since  time.Time
}

// stateFrozen is the row of what is frozen.
const stateFrozen = 17

type freezeWire struct {
	_      struct{} `cbor:",toarray"`
	Writer []byte
	From   uint64
	Why    string
	Since  int64 // ns
}

// limit is the first sequence number of a writer that is not to be applied or claimed. Needs
// applying.
func (r *Replica) limit(w ident.Writer) (uint64, bool) {
	f, ok := r.frozen[w]
	return f.From, ok
}

// freeze is for a record with a valid signature over invalid content. Needs applying.
func (r *Replica) freeze(it badItem) error {
	if f, ok := r.frozen[it.writer]; ok && f.From <= it.from || r.Claims().Has(Dot{Writer: it.writer, Seq: it.from}) {
		return nil
	}
	r.log.Error("namespace: a device signs invalid records; nothing further of it is applied",
		"device", it.writer.Device.Short(), "from", it.from, "why", it.err)
	r.frozen[it.writer] = Freeze{Writer: it.writer, From: it.from, Why: reason(it.err), Since: r.cfg.Clock()}
	r.news.Add(1) // so that it hears of it
	return r.saveFrozen()
}

// unfrozen leaves out what frozen writers wrote. Needs applying.
func (r *Replica) unfrozen(recs []verified) []verified {
	if len(r.frozen) == 0 {
		return recs
	}
	return slices.DeleteFunc(recs, func(x verified) bool {
		from, ok := r.limit(x.v.Dot.Writer)
		return ok && x.v.Dot.Seq >= from
	})
}

// saveFrozen stores what is frozen, but for logs that newer incarnations have closed.
func (r *Replica) saveFrozen() error {
	r.mu.RLock()
	maps.DeleteFunc(r.frozen, func(w ident.Writer, _ Freeze) bool { return r.line.closed(w) })
	r.mu.RUnlock()
	var list []freezeWire
	for _, f := range r.freezes() {
		list = append(list, freezeWire{Writer: f.Writer.Append(nil), From: f.From, Why: f.Why, Since: f.Since.UnixNano()})
	}
	b := r.cfg.DB.Batch()
	_ = b.Set(r.keys.state(stateFrozen), wire.Marshal(list))
	return b.Commit(kv.Sync)
}

func (r *Replica) loadFrozen() error {
	row, err := get(r.cfg.DB, r.keys.state(stateFrozen))
	if err != nil || row == nil {
		return err
	}
	var list []freezeWire
	if err := wire.Unmarshal(row, &list); err != nil {
		return corruptRow("freezes")
	}
	for _, x := range list {
		d := decoder{b: x.Writer}
		f := Freeze{Writer: d.writer(), From: x.From, Why: x.Why, Since: time.Unix(0, x.Since)}
		if !d.end() || f.From == 0 {
			return corruptRow("freezes")
		}
		r.frozen[f.Writer] = f
	}
	return nil
}

func (r *Replica) freezes() []Freeze {
	return slices.SortedFunc(maps.Values(r.frozen), func(x, y Freeze) int { return merge.CompareWriters(x.Writer, y.Writer) })
}

// Frozen lists the writers whose records are refused here.
func (r *Replica) Frozen() []Freeze {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := slices.DeleteFunc(r.freezes(), func(f Freeze) bool { return r.line.closed(f.Writer) })
	for i := range out {
		out[i].Upto = max(out[i].From, r.heads[out[i].Writer].last)
	}
	return out
}

// FrozenBy lists the devices that refuse this one's records.
func (r *Replica) FrozenBy() []ident.DeviceID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(r.frozenBy), func(a, b ident.DeviceID) int { return slices.Compare(a[:], b[:]) })
}

// hearFreeze notes whether a peer refuses what this device writes, and from where on.
func (r *Replica) hearFreeze(from ident.DeviceID, h Hello) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.Refuses > 0 && h.Log.Incarnation == r.self.Incarnation {
		if r.frozenBy[from] == 0 {
			r.log.Error("namespace: another device refuses what this one writes", "device", from.Short(), "from", h.Refuses)
		}
		r.frozenBy[from] = h.Refuses
	} else {
		delete(r.frozenBy, from)
	}
}

// Thaw has a device's records looked at again. For another one it forgets that the device is
// frozen: what was refused comes again, and if it is still invalid, freezes it again. For this
// device itself it begins a new incarnation, under which everything since the first record that
// another device refuses is written again. NotExist: there was nothing to thaw.
func (r *Replica) Thaw(dev ident.DeviceID) error {
	const op = "namespace.Thaw"
	r.applying.Lock()
	defer r.applying.Unlock()
	if dev == r.cfg.Self {
		return r.thawSelf()
	}
	before := len(r.frozen)
	maps.DeleteFunc(r.frozen, func(w ident.Writer, _ Freeze) bool { return w.Device == dev })
	if len(r.frozen) == before {
		return errs.E(op, errs.NotExist, dev.Short(), nil)
	}
	if err := r.saveFrozen(); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	r.news.Add(1)
	return nil
}

// thawSelf needs applying.
func (r *Replica) thawSelf() error {
	var first uint64
	r.mu.RLock()
	for _, from := range r.frozenBy {
		if first == 0 || from < first {
			first = from
		}
	}
	r.mu.RUnlock()
	switch {
	case first == 0:
		return errs.E("namespace.Thaw", errs.NotExist, "this device", nil)
	case r.inDoubt(): // which ends in a new incarnation of its own
		return errs.E("namespace.Thaw", errs.Busy, "this device's log", nil)
	}
	if err := r.reincarnate(r.self, first-1, true); err != nil {
		return err
	}
	r.reborn.Add(-1) // that counts those which nobody asked for
	r.mu.Lock()
	clear(r.frozenBy)
	r.mu.Unlock()
	return nil
}
