package heat

import (
	"math"

	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

// Tables of the home's store.
const (
	tableHeat  = 'h' // node → row
	tableClock = 'u' // → clockRow
)

// rowVersion is that of both. A row of another version is skipped, and written over in time.
const rowVersion = 1

// row is what is known of one file.
type row struct {
	heat    Heat
	used    Beat   // last use; 0: none
	freed   bool   // a person freed it, and has not used it since: nothing brings it here
	brought digest // the content that was brought last
	marked  Beat   // when that was, or when it was freed
	kept    bool   // it was hot enough to be kept, and has not become cold since
}

// digest is the beginning of a content's root: enough to tell two contents of one file apart.
type digest [8]byte

// worth orders rows by what it would be to lose them: a mark counts for some weeks, as a use would.
func (r row) worth(now Beat) float64 {
	w := r.heat.At(now)
	if r.marked > 0 {
		w = max(w, Heat{n: 1, at: r.marked}.At(now))
	}
	return w
}

type rowWire struct {
	_       struct{} `cbor:",toarray"`
	V       uint8
	Heat    uint64 // in thousandths
	At      int64
	Used    int64
	Freed   bool
	Brought []byte
	Marked  int64
	Kept    bool
}

func (r row) marshal() []byte {
	return wire.Marshal(rowWire{V: rowVersion, Heat: uint64(math.Round(r.heat.n * 1000)), At: int64(r.heat.at), Used: int64(r.used), Freed: r.freed, Brought: r.brought[:], Marked: int64(r.marked), Kept: r.kept})
}

func parseRow(b []byte) (r row, ok bool) {
	var w rowWire
	if wire.Unmarshal(b, &w) != nil || w.V != rowVersion || len(w.Brought) != len(r.brought) || w.Heat > maxHeat*1000 || min(w.At, w.Used, w.Marked) < 0 {
		return row{}, false
	}
	return row{heat: Heat{n: float64(w.Heat) / 1000, at: Beat(w.At)}, used: Beat(w.Used), freed: w.Freed, brought: digest(w.Brought), marked: Beat(w.Marked), kept: w.Kept}, true
}

type clockRow struct {
	_    struct{} `cbor:",toarray"`
	V    uint8
	Wall int64
	Now  int64
}

func (m *Meter) rowKey(n namespace.NodeID) kv.Key { return m.db.Key(tableHeat, kv.Plain(n[:])) }

func (m *Meter) load() error {
	if v, err := m.db.Get(m.db.Key(tableClock)); err == nil {
		var c clockRow
		if wire.Unmarshal(v, &c) == nil && c.V == rowVersion && c.Now >= 0 {
			m.clock = Clock{Wall: c.Wall, Now: Beat(c.Now)}
		}
	}
	m.clock.Now = max(m.clock.Now, 1) // 0 is never
	now := m.clock.Tick(m.wall())
	return m.db.Scan(m.db.Key(tableHeat), func(k kv.Key, v []byte) bool {
		if r, ok := parseRow(v); ok && len(k) == 17 {
			r.heat.at, r.used, r.marked = min(r.heat.at, now), min(r.used, now), min(r.marked, now)
			m.rows[namespace.NodeID(k[1:])] = r
		}
		return true
	})
}

func wireClock(c Clock) []byte {
	return wire.Marshal(clockRow{V: rowVersion, Wall: c.Wall, Now: int64(c.Now)})
}
