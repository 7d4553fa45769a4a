package kv

import (
	"bytes"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
)

// row is one row in memory. Keys and values are never changed.
type row struct {
	key   Key
	value []byte // nil: a mark
}

// rows is a state of a store in memory: its rows by key, cut into leaves that are never
// changed and never empty. A change copies the leaves that it touches, so that a snapshot, a
// crash and the image of a disk cost nothing but the list of leaves.
type rows []leaf

type leaf []row

// maxLeaf is how many rows a leaf has at most.
const maxLeaf = 24

// leafOf is the leaf in which k lies or would lie: the last that does not begin after it.
func (r rows) leafOf(k Key) int {
	lo, hi := 0, len(r)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); bytes.Compare(r[mid][0].key, k) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return max(lo-1, 0)
}

// find returns where in the leaf k is, or would be.
func (l leaf) find(k Key) (int, bool) {
	lo, hi := 0, len(l)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch c := bytes.Compare(l[mid].key, k); {
		case c == 0:
			return mid, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// lookup returns the row of k, nil if there is none.
func (r rows) lookup(k Key) *row {
	if len(r) == 0 {
		return nil
	}
	l := r[r.leafOf(k)]
	if i, ok := l.find(k); ok {
		return &l[i]
	}
	return nil
}

func (r rows) get(dst []byte, k Key) ([]byte, error) {
	x := r.lookup(k)
	if x == nil {
		return nil, errs.E("kv.Get", errs.NotExist, "row", nil)
	}
	if x.value == nil {
		return nil, errs.E("kv.Get", errs.Corrupt, tableName(k), nil)
	}
	if dst == nil {
		dst = make([]byte, 0, len(x.value))
	}
	return append(dst, x.value...), nil
}

func (r rows) has(k Key) (bool, error) { return r.lookup(k) != nil, nil }

func (r rows) pick(keys []Key, fn func(int, []byte) bool) error {
	for i, k := range keys {
		x := r.lookup(k)
		switch {
		case x == nil:
			continue
		case x.value == nil:
			return errs.E("kv.Pick", errs.Corrupt, tableName(k), nil)
		}
		if !fn(i, x.value[:len(x.value):len(x.value)]) {
			break
		}
	}
	return nil
}

func (r rows) each(prefixes []Key, fn func(int, Key) bool) error {
	for i, p := range prefixes {
		if err := r.scan(Range{Prefix: p, KeysOnly: true}, func(k Key, _ []byte) bool { return fn(i, k) }); err != nil {
			return err
		}
	}
	return nil
}

func (r rows) scan(rg Range, fn func(Key, []byte) bool) error {
	if len(r) == 0 {
		return nil
	}
	bad := 0
	lower, upper := rg.bounds()
	i, end, step := r.leafOf(lower), len(r)-1, 1
	if upper != nil {
		end = r.leafOf(upper)
	}
	if rg.Reverse {
		i, end, step = end, i, -1
	}
	for ; ; i += step {
		part := r[i].between(lower, upper)
		for j := range part {
			x := &part[j]
			if rg.Reverse {
				x = &part[len(part)-1-j]
			}
			value := x.value[:len(x.value):len(x.value)]
			switch {
			case rg.KeysOnly:
				value = nil
			case value == nil:
				bad++
				continue
			}
			if !fn(x.key[:len(x.key):len(x.key)], value) {
				return badRows(rg, bad)
			}
		}
		if i == end {
			return badRows(rg, bad)
		}
	}
}

// between is the part of l from lower on and before upper; nil: the end.
func (l leaf) between(lower, upper Key) leaf {
	from, to := 0, len(l)
	if len(l) > 0 && bytes.Compare(l[0].key, lower) < 0 {
		from, _ = l.find(lower)
	}
	if len(l) > 0 && upper != nil && bytes.Compare(l[to-1].key, upper) >= 0 {
		to, _ = l.find(upper)
	}
	return l[from:max(from, to)]
}

// change is one change of a batch: of a row, or the deletion of all from key to end.
type change struct {
	row
	gone bool
	end  Key // not nil: a range
}

type changes []change

// with returns the rows with changes applied in their order.
func (r rows) with(cs changes) rows {
	for len(cs) > 0 {
		n := slices.IndexFunc(cs, func(c change) bool { return c.end != nil })
		if n == 0 {
			r, cs = r.without(cs[0].key, cs[0].end), cs[1:]
			continue
		}
		if n < 0 {
			n = len(cs)
		}
		r, cs = r.merge(cs[:n].last()), cs[n:]
	}
	return r
}

func (r rows) without(from, end Key) (out rows) {
	for _, l := range r {
		part := l.between(from, end)
		if len(part) == 0 {
			out = append(out, l)
		} else if len(part) < len(l) {
			i, _ := l.find(from)
			out = append(out, slices.Concat(l[:i], l[i+len(part):]))
		}
	}
	return out
}

// last keeps of each key the last change, in order of keys.
func (cs changes) last() changes {
	sorted := slices.Clone(cs)
	slices.SortStableFunc(sorted, func(a, b change) int { return bytes.Compare(a.key, b.key) })
	n := 0
	for i, c := range sorted {
		if i+1 == len(sorted) || !bytes.Equal(sorted[i+1].key, c.key) {
			sorted[n] = c
			n++
		}
	}
	return sorted[:n]
}

// merge applies changes of single rows, in order of keys and each key once.
func (r rows) merge(cs changes) rows {
	if len(r) == 0 {
		r = rows{nil}
	}
	out := make(rows, 0, len(r)+2*len(cs)/maxLeaf+2)
	for i, l := range r {
		n := len(cs)
		if i+1 < len(r) {
			next := r[i+1][0].key
			n = 0
			for n < len(cs) && bytes.Compare(cs[n].key, next) < 0 {
				n++
			}
		}
		if n == 0 {
			if len(l) > 0 {
				out = append(out, l)
			}
			continue
		}
		out = out.grow(l.merge(cs[:n]))
		cs = cs[n:]
	}
	return out
}

func (l leaf) merge(cs changes) leaf {
	out := make(leaf, 0, len(l)+len(cs))
	for _, c := range cs {
		n, there := l.find(c.key)
		out = append(out, l[:n]...)
		if l = l[n:]; there {
			l = l[1:]
		}
		if !c.gone {
			out = append(out, c.row)
		}
	}
	return append(out, l...)
}

// grow appends rows as one leaf or several, or to the last leaf where both are small.
func (r rows) grow(l leaf) rows {
	if n := len(r) - 1; n >= 0 && len(r[n])+len(l) <= maxLeaf/2 {
		r[n] = slices.Concat(r[n], l)
		return r
	}
	for len(l) > maxLeaf {
		half := min(len(l)/2, maxLeaf)
		r, l = append(r, l[:half:half]), l[half:]
	}
	if len(l) > 0 {
		r = append(r, l)
	}
	return r
}
