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

// The brake is for the day on which a program runs amok on one device, and every other would
// follow within seconds. It counts how many files that have been there for a while a device
// removes or overwrites. Beyond a limit, further changes of that device are held back here: not
// merged and not claimed, so that they come again, until a person releases them on any device
// of the account. Changes of others go on, and so does everything on the device itself.

// Brake is the policy; the zero value never holds anything back.
type Brake struct {
	Files  int           // removed or overwritten files …
	Share  float64       // … that are also more than this part of all
	Window time.Duration // … within this time
	Age    time.Duration // younger bytes do not count
}

// DefaultBrake lets people tidy up and stops what sweeps through everything.
var DefaultBrake = Brake{Files: 500, Share: 0.1, Window: time.Hour, Age: 24 * time.Hour}

// Hold says that changes of a writer are held back.
type Hold struct {
	Writer ident.Writer
	From   uint64 // sequence number of the first
	Upto   uint64 // and of the last that is known of
	Files  int    // removed or overwritten before the brake took hold
	Since  time.Time
}

// brakes is what is held back, and the counts that lead to it.
type brakes struct {
	held    map[ident.Writer]Hold
	counts  map[ident.Writer]burst
	changed bool // held differs from its row
}

type burst struct {
	began time.Time
	files int
}

type holdWire struct {
	_      struct{} `cbor:",toarray"`
	Writer []byte
	From   uint64
	Files  int
	Since  int64 // ns
}

func (b *brakes) encode() []byte {
	var w []holdWire
	for _, h := range b.list() {
		w = append(w, holdWire{Writer: h.Writer.Append(nil), From: h.From, Files: h.Files, Since: h.Since.UnixNano()})
	}
	return wire.Marshal(w)
}

func (b *brakes) decode(row []byte) error {
	var w []holdWire
	if err := wire.Unmarshal(row, &w); err != nil {
		return corruptRow("brake")
	}
	for _, x := range w {
		d := decoder{b: x.Writer}
		h := Hold{Writer: d.writer(), From: x.From, Files: x.Files, Since: time.Unix(0, x.Since)}
		if !d.end() || h.From == 0 {
			return corruptRow("brake")
		}
		b.held[h.Writer] = h
	}
	return nil
}

func (b *brakes) list() []Hold {
	return slices.SortedFunc(maps.Values(b.held), func(x, y Hold) int { return merge.CompareWriters(x.Writer, y.Writer) })
}

func (r *Replica) released(w ident.Writer) uint64 {
	if r.cfg.Released == nil {
		return 0
	}
	return r.cfg.Released(w)
}

// passes reports whether a record may be merged, and counts it. Needs applying and writing.
func (r *Replica) passes(t *tx, x verified) bool {
	d := x.v.Dot
	if d.Seq <= r.released(d.Writer) {
		return true
	}
	h, held := r.brakes.held[d.Writer]
	if held && d.Seq >= h.From {
		return false
	}
	if r.cfg.Brake.Files == 0 || !t.sweeps(x) {
		return true
	}
	now, b := r.cfg.Clock(), r.brakes.counts[d.Writer]
	if now.Sub(b.began) > r.cfg.Brake.Window {
		b = burst{began: now}
	}
	b.files++
	r.brakes.counts[d.Writer] = b
	if b.files <= r.cfg.Brake.Files || float64(b.files) <= r.cfg.Brake.Share*float64(t.state.totals.Files) {
		return true
	}
	if !held {
		h = Hold{Writer: d.Writer, Files: b.files - 1, Since: now}
		r.log.Warn("namespace: so many changes of a device are held back", "device", d.Writer.Device.Short(), "files", h.Files)
	}
	h.From = d.Seq // removals come after what the same writer wrote later
	r.brakes.held[d.Writer] = h
	r.brakes.changed = true
	return false
}

// sweeps reports whether a record removes or overwrites a file that has been there for a while.
func (t *tx) sweeps(x verified) bool {
	if x.id.kind != regBytes || x.id.node.IsDir() || x.v.Class == merge.Weak {
		return false
	}
	before := merge.StampAt(t.r.cfg.Clock().Add(-t.r.cfg.Brake.Age))
	return slices.ContainsFunc(t.held(x.id), func(u *merge.Version) bool {
		return u.Class == merge.Strong && u.T < before && x.v.Past.Has(u.Dot)
	})
}

// heldBack keeps a session from claiming what was held back, and stores what is. Needs
// applying.
func (r *Replica) heldBack(s *session, recs []verified) error {
	for _, x := range recs {
		if d := x.v.Dot; s.limits[d.Writer] == 0 || d.Seq < s.limits[d.Writer] {
			s.limits[d.Writer] = d.Seq
		}
	}
	if !r.brakes.changed {
		return nil
	}
	r.brakes.changed = false
	r.news.Add(1)
	return r.saveBrakes()
}

func (r *Replica) saveBrakes() error {
	b := r.cfg.DB.Batch()
	_ = b.Set(r.keys.state(stateBrake), r.brakes.encode())
	return b.Commit(kv.NoSync)
}

// Held lists the writers whose changes are held back here.
func (r *Replica) Held() []Hold {
	r.applying.Lock()
	defer r.applying.Unlock()
	out := r.brakes.list()
	for i := range out {
		out[i].Upto = r.heads[out[i].Writer].last
	}
	return out
}

// HeldBy lists the devices that hold back changes of this one.
func (r *Replica) HeldBy() []ident.DeviceID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(r.heldBy), func(a, b ident.DeviceID) int { return slices.Compare(a[:], b[:]) })
}

// ReleasesChanged tells the replica that Config.Released may answer differently now: what was
// held back comes again.
func (r *Replica) ReleasesChanged() error {
	r.applying.Lock()
	defer r.applying.Unlock()
	free := false
	for w, h := range r.brakes.held {
		if r.released(w) >= h.From {
			delete(r.brakes.held, w)
			delete(r.brakes.counts, w)
			free = true
		}
	}
	if !free {
		return nil
	}
	if err := r.saveBrakes(); err != nil {
		return errs.E("namespace.ReleasesChanged", errs.Other, "", err)
	}
	r.news.Add(1)
	return nil
}
