package namespace

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// tableFormerXattr holds values that extended attributes had: node, hidden name, until → since
// when, name, value. As with other states, what still holds has no row, and what was ended a
// moment after it was made by who made it leaves none.
const tableFormerXattr = 'X'

func (k keys) formerXattrs(n NodeID) kv.Key { return k.db.Key(tableFormerXattr, kv.Plain(n[:])) }
func (k keys) formerXattr(n NodeID, name string) kv.Key {
	return k.db.Key(tableFormerXattr, kv.Plain(n[:]), kv.HiddenString(name))
}

// formerXattr is such a value.
type formerXattr struct {
	until, from int64
	name        string
	value       []byte
}

func encodeFormerXattr(x formerXattr) []byte {
	return append(appendString(appendVarint([]byte{rowVersion}, x.from), x.name), x.value...)
}

func decodeFormerXattr(k kv.Key, row []byte) (x formerXattr, err error) {
	d := decoder{b: row}
	version := d.byte()
	x.from, x.name = d.varint(), d.string()
	if x.value = d.take(len(d.b)); !d.end() || version != rowVersion || x.name == "" || len(k) < 8 {
		return x, corruptRow("history of an attribute")
	}
	x.until = int64(binary.BigEndian.Uint64(k[len(k)-8:]))
	return x, nil
}

// keepXattrs adds rows for the values that the transaction ends. Needs writing.
func (t *tx) keepXattrs(b *kv.Batch) {
	if !t.r.keepsHistory() {
		return
	}
	until := uint64(0)
	for id, s := range t.subs {
		was := s.was.Newest()
		if id.kind != regXattr || !s.dirty || was == nil {
			continue
		}
		value, present, _ := decodeXattr(was.Value)
		now := s.reg.Newest()
		if !present || now != nil && now.Value == was.Value {
			continue
		}
		if until == 0 {
			until = t.r.moments.next(t.r.cfg.Clock())
		}
		if t.passing(was, now, int64(until)) {
			continue
		}
		x := formerXattr{from: heldSince(was, int64(until)), name: id.sub, value: value}
		t.fail(b.Set(t.db.Extend(t.keys.formerXattr(id.node, id.sub), kv.U64(until)), encodeFormerXattr(x)))
	}
}

// passing is fleeting for attributes.
func (t *tx) passing(was, now *merge.Version, until int64) bool {
	by := t.author.Device
	if t.remote {
		by = ident.DeviceID{}
		if now != nil {
			by = now.Dot.Writer.Device
		}
	}
	if by != was.Dot.Writer.Device {
		return false
	}
	ended := time.Unix(0, until)
	if t.remote {
		ended = now.T.Time()
	}
	age := ended.Sub(was.T.Time())
	return age >= 0 && age < fleeting
}

// heldSince is from when a version held, as far as its stamp tells.
func heldSince(v *merge.Version, until int64) int64 {
	if at := v.T.Nanos(); at <= until {
		return at
	}
	return 0
}

// XattrAt is the value that an extended attribute of a node had at a moment. NoAttr.
func (r *Replica) XattrAt(id NodeID, name string, when int64) (value []byte, err error) {
	err = r.read(func(t *tx) error {
		all := t.xattrsAt(t.keys.formerXattr(id, name), when)
		if v, known := all[name]; known {
			if value = v; v == nil {
				return errs.E("namespace.XattrAt", errs.NoAttr, name, nil)
			}
			return nil
		}
		v := t.sub(regID{node: id, kind: regXattr, sub: name}).reg.Newest()
		if value = t.valueAt(v, when); value == nil {
			return errs.E("namespace.XattrAt", errs.NoAttr, name, nil)
		}
		return nil
	})
	return value, err
}

// ListXattrAt returns the names of the extended attributes that a node had at a moment, sorted.
func (r *Replica) ListXattrAt(id NodeID, when int64) (names []string, err error) {
	err = r.read(func(t *tx) error {
		all := t.xattrsAt(t.keys.formerXattrs(id), when)
		t.fail(t.src.Scan(t.keys.xattrs(id), func(_ kv.Key, row []byte) bool {
			reg, versions, err := decodeSub(id, regXattr, row, t.writers)
			if t.fail(err); err != nil {
				return false
			}
			if _, known := all[reg.sub]; !known {
				all[reg.sub] = t.valueAt(versions.Newest(), when)
			}
			return true
		}))
		for name, value := range all {
			if value != nil {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

// valueAt is the value that a version, in effect now, had at a moment; nil for none.
func (t *tx) valueAt(v *merge.Version, when int64) []byte {
	if v == nil || heldSince(v, t.clock()) > when {
		return nil
	}
	value, present, _ := decodeXattr(v.Value)
	if !present {
		return nil
	}
	return value
}

// xattrsAt reads, of the rows with a prefix, the first of each name that ended after when: its
// value, or nil if it did not hold yet.
func (t *tx) xattrsAt(prefix kv.Key, when int64) map[string][]byte {
	out := map[string][]byte{}
	t.fail(t.src.Scan(prefix, func(k kv.Key, row []byte) bool {
		x, err := decodeFormerXattr(k, row)
		if t.fail(err); err != nil {
			return false
		}
		if _, known := out[x.name]; known || x.until <= when {
			return true
		}
		if out[x.name] = nil; x.from <= when {
			out[x.name] = append([]byte{}, x.value...)
		}
		return true
	}))
	return out
}

// expireXattrs drops the values that ended before a moment, some of them; n is how many.
func (r *Replica) expireXattrs(before int64) (n int, err error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.closed {
		return 0, errs.E("namespace.ExpireHistory", errs.Closed, "", nil)
	}
	b := r.cfg.DB.Batch()
	defer b.Close()
	var bad error
	prefix := r.cfg.DB.Key(tableFormerXattr)
	err = r.cfg.DB.ScanKeys(prefix, func(k kv.Key) bool {
		if len(k) < 8 || int64(binary.BigEndian.Uint64(k[len(k)-8:])) > before {
			return true
		}
		n++
		bad = b.Delete(k.Clone())
		return bad == nil && n < expireStep
	})
	if err == nil {
		err = bad
	}
	if err != nil || n == 0 {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return n, b.Commit(kv.NoSync)
}
