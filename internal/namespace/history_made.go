package namespace

import (
	"encoding/binary"
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

// stateLast is the row that says which change of this device that ended something was the last one. Rows
// of history do not tell: the clock may have been set back since.
const stateLast = 21

// lastChange is in it.
type lastChange struct {
	at   uint64 // when it ended states, or a restore or an undo did its work; 0: not known
	made bool   // it was one of these, whole
}

func (l lastChange) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, l.at)
	if l.made {
		return append(b, 1)
	}
	return append(b, 0)
}

// until is the key below which the rows of the last change and of those before begin.
func (l lastChange) until() FormerKey {
	if l.at == 0 {
		return FormerKey{Until: 1<<63 - 1}
	}
	return FormerKey{Until: l.at + 1}
}

func (r *Replica) lastChange() (l lastChange, err error) {
	row, err := get(r.cfg.DB, r.keys.state(stateLast))
	if err != nil || row == nil {
		return l, err
	}
	d := decoder{b: row}
	if p := d.take(8); p != nil {
		l.at = binary.BigEndian.Uint64(p)
	}
	if l.made = d.byte() == 1; !d.end() {
		return l, corruptRow("last change")
	}
	return l, nil
}

// made is what one restore or undo did.
type made struct {
	from, until uint64 // its rows of history ended in between
	of          uint64 // when the change before had ended something
	names       []madeName
	both        bool // it was no restore: both versions of a conflict were kept
	part        bool // it took back one change of several that followed one another quickly
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
		Of    uint64         `cbor:"5,keyasint,omitempty"`
		Part  bool           `cbor:"6,keyasint,omitempty"`
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
	last, _ := r.lastChange()
	return maker{r, made{from: r.moments.next(r.cfg.Clock()), of: last.at}}
}

// made notes one name.
func (k *maker) made(e Entry) {
	if len(k.m.names) < maxMade {
		n := madeName{parent: e.Parent, name: e.Name}
		_ = k.r.read(func(t *tx) error {
			n.left = t.leaves(e.ID, t.nameNode(e))
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
	w := madeWire{From: k.m.from, Until: r.moments.next(r.cfg.Clock()), Both: k.m.both, Of: k.m.of, Part: k.m.part}
	for _, n := range k.m.names {
		if !n.place.IsZero() && !n.bytes.IsZero() {
			w.Names = append(w.Names, madeNameWire{Parent: n.parent[:], Name: n.name, Node: n.node[:], Dots: dotsToWire([]Dot{n.place, n.bytes})})
		}
	}
	b := r.cfg.DB.Batch()
	defer b.Close()
	_ = b.Set(r.keys.state(stateMade), wire.Marshal(w))
	_ = b.Set(r.keys.state(stateLast), lastChange{w.Until, true}.encode())
	if err := b.Commit(kv.NoSync); err != nil {
		return errs.E("namespace.made", errs.Other, "", err)
	}
	return nil
}

// lastMade is this device's last change, and the restore or undo that it was; nil if it was another one.
func (r *Replica) lastMade() (last lastChange, m *made, err error) {
	if last, err = r.lastChange(); err == nil && last.made {
		m, err = r.readMade()
	}
	return last, m, err
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
	m := made{from: w.From, until: w.Until, both: w.Both, of: w.Of, part: w.Part}
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
			f := Former{Entry: e, Key: FormerKey{Until: m.until}, How: Returned, Local: true, By: r.cfg.Self, left: n.left}
			err = r.read(func(t *tx) error {
				f.node = t.nameNode(e)
				return nil
			})
			if out = append(out, f); err != nil {
				return nil, err
			}
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
