package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/wire"
)

// What a restore or an undo makes show again ends no state, so there is no row of history about it.
// Yet it is a change that can be undone. One small row remembers the last of these, until this
// device's next change that ends something.

// Returned is how a Former ends in LastChange that stands for what a restore or an undo has made: it
// shows, and undoing that removes it. No row of history has it.
const Returned How = 6

// stateMade is the row.
const stateMade = 20

// maxMade bounds the names in it; of a larger restore only the first can be taken back.
const maxMade = 1 << 17

// made is what one restore or undo did.
type made struct {
	from, until uint64 // its rows of history ended in between
	names       []madeName
	both        bool // it was no restore: both versions of a conflict were kept
}

// madeName is a name that shows again, and as what.
type madeName struct {
	parent NodeID
	name   string
	left
}

type (
	madeWire struct {
		From  uint64         `cbor:"1,keyasint"`
		Until uint64         `cbor:"2,keyasint"`
		Names []madeNameWire `cbor:"3,keyasint,omitempty"`
		Both  bool           `cbor:"4,keyasint,omitempty"`
	}
	madeNameWire struct {
		_      struct{} `cbor:",toarray"`
		Parent []byte
		Name   string
		Node   []byte
		Dots   []dotWire // placement, bytes
	}
)

// maker notes what is made show again.
type maker struct {
	r *Replica
	m made
}

// making begins a restore or an undo.
func (r *Replica) making() maker {
	r.writing.Lock()
	defer r.writing.Unlock()
	return maker{r, made{from: r.moments.next(r.cfg.Clock())}}
}

// made notes one name.
func (k *maker) made(e Entry) {
	if len(k.m.names) < maxMade {
		n := madeName{parent: e.Parent, name: e.Name}
		_ = k.r.read(func(t *tx) error {
			n.left = t.leaves(e.ID)
			return nil
		})
		k.m.names = append(k.m.names, n)
	}
}

// end writes the row.
func (k *maker) end() error {
	r := k.r
	r.writing.Lock()
	defer r.writing.Unlock()
	w := madeWire{From: k.m.from, Until: r.moments.next(r.cfg.Clock()), Both: k.m.both}
	for _, n := range k.m.names {
		if !n.place.IsZero() && !n.bytes.IsZero() {
			w.Names = append(w.Names, madeNameWire{Parent: n.parent[:], Name: n.name, Node: n.node[:], Dots: dotsToWire([]Dot{n.place, n.bytes})})
		}
	}
	b := r.cfg.DB.Batch()
	defer b.Close()
	_ = b.Set(r.keys.state(stateMade), wire.Marshal(w))
	if err := b.Commit(kv.NoSync); err != nil {
		return errs.E("namespace.made", errs.Other, "", err)
	}
	return nil
}

// lastMade is the restore or undo that was this device's last change; nil if that was another one.
func (r *Replica) lastMade() (*made, error) {
	m, err := r.readMade()
	if err != nil || m == nil {
		return nil, err
	}
	last := m
	err = r.walkBack(FormerKey{Until: 1<<63 - 1}, func(f Former) bool {
		if f.Local && f.Key.Until > m.until {
			last = nil
		}
		return last != nil && f.Key.Until > m.until
	})
	return last, err
}

// readMade reads the row; nil if there is none.
func (r *Replica) readMade() (*made, error) {
	row, err := get(r.cfg.DB, r.keys.state(stateMade))
	if err != nil || row == nil {
		return nil, err
	}
	var w madeWire
	if err := wire.Unmarshal(row, &w); err != nil {
		return nil, corruptRow("made")
	}
	m := made{from: w.From, until: w.Until, both: w.Both}
	for _, n := range w.Names {
		dots, ok := dotsFromWire(n.Dots)
		if !ok || len(dots) != 2 || len(n.Parent) != len(NodeID{}) || len(n.Node) != len(NodeID{}) {
			return nil, corruptRow("made")
		}
		m.names = append(m.names, madeName{NodeID(n.Parent), n.Name, left{NodeID(n.Node), dots[0], dots[1]}})
	}
	return &m, nil
}

// undone is what it did, as LastChange tells it: the names that still show, what was made last first, and
// the states that it ended.
func (m *made) undone(r *Replica) (out []Former, err error) {
	for _, n := range slices.Backward(m.names) {
		if e, err := r.Lookup(n.parent, n.name); err == nil && e.ID == n.node {
			out = append(out, Former{Entry: e, Key: FormerKey{Until: m.until}, How: Returned, Local: true, By: r.cfg.Self, left: n.left})
		}
	}
	err = r.walkBack(FormerKey{Until: m.until}, func(f Former) bool {
		if f.Local && f.Key.Until > m.from {
			out = append(out, f)
		}
		return f.Key.Until > m.from
	})
	return out, err
}
