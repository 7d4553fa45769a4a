package namespace

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// load reads what is kept in memory: writers, ends of chains, claims, state, and the local
// writes that a crash left without a batch.
func (r *Replica) load() error {
	db := r.cfg.DB
	moved, err := r.loadSelf()
	if err != nil {
		return err
	}
	if err := r.loadWriters(); err != nil {
		return err
	}
	row, err := get(db, r.keys.state(stateCounters))
	if err == nil && row != nil {
		err = r.state.decode(row)
	}
	if err != nil {
		return err
	}
	if row, err = get(db, r.keys.state(stateClaims)); err == nil && row != nil {
		r.claims, err = ParseClaims(row)
	}
	if err != nil {
		return err
	}
	if row, err = get(db, r.keys.state(stateLineage)); err == nil && row != nil {
		err = r.line.decode(row)
	}
	if err == nil {
		if row, err = get(db, r.keys.state(stateBrake)); err == nil && row != nil {
			err = r.brakes.decode(row)
		}
	}
	if err := errors.Join(err, r.loadAcks(), r.loadProgress(), r.loadFrozen(), r.loadBad(), r.loadPending(), r.indexSeveral(), r.indexAlike(), r.loadLinked(), r.loadAside(), r.readNewer()); err != nil {
		return err
	}
	if moved { // the image may be old: what it names as this device's last write may not be the last
		return r.reincarnate(r.self, r.own.last, false)
	}
	return r.saveSelf()
}

func (r *Replica) loadAcks() error {
	var bad error
	prefix := r.cfg.DB.Key(tableAcks)
	err := r.cfg.DB.Scan(prefix, func(k kv.Key, row []byte) bool {
		a, err := decodeAck(row)
		if err != nil || len(k) != len(prefix)+len(ident.DeviceID{}) {
			bad = corruptRow("acknowledgement")
			return false
		}
		r.acks[ident.DeviceID(k[len(prefix):])] = a
		return true
	})
	return errors.Join(err, bad)
}

func get(src kv.Reader, k kv.Key) ([]byte, error) {
	row, err := src.Get(k)
	if errs.Is(err, errs.NotExist) {
		return nil, nil
	}
	return row, err
}

func (r *Replica) loadWriters() error {
	var bad error
	err := r.cfg.DB.Scan(r.cfg.DB.Key(tableWriters), func(k kv.Key, row []byte) bool {
		d := decoder{b: row}
		w := d.writer()
		if !d.end() || len(k) != 5 || binary.BigEndian.Uint32(k[1:]) != r.numbers.number(w) {
			bad = corruptRow("writer")
			return false
		}
		return true
	})
	if err := errors.Join(err, bad); err != nil {
		return err
	}
	r.saved = len(r.numbers.list)
	for i, w := range r.numbers.list {
		row, err := get(r.cfg.DB, r.keys.head(uint32(i)))
		if err == nil && row != nil {
			r.heads[w], err = decodeHead(row)
		}
		if err != nil {
			return err
		}
	}
	r.selfNum = r.numbers.number(r.self)
	r.writers = r.numbers.list
	r.own = r.heads[r.self]
	delete(r.heads, r.self)
	return nil
}

// loadPending finds the local writes since the last batch. Where one was overwritten since,
// nobody will ever ask for it: its place stays empty.
func (r *Replica) loadPending() error {
	live := map[uint64]written{}
	top := r.own.last
	t := r.reader()
	for order := range 3 {
		t.fail(r.cfg.DB.ScanRange(r.keys.dotsFrom(order, r.selfNum, r.own.last+1), func(k kv.Key, _ []byte) bool {
			id, err := r.keys.register(r.cfg.DB, k)
			if t.fail(err); err != nil {
				return false
			}
			seq := dotSeq(k)
			top = max(top, seq)
			live[seq] = written{id: id}
			return true
		}))
	}
	for _, seq := range slices.Sorted(maps.Keys(live)) {
		w := live[seq]
		w.v = t.held(w.id).Find(Dot{Writer: r.self, Seq: seq})
		live[seq] = w
	}
	for seq := r.own.last + 1; seq <= top; seq++ {
		r.pending = append(r.pending, live[seq])
	}
	r.next = top + 1
	r.written.Store(top)
	r.durable.Store(r.own.last)
	return t.err
}
