package share

import (
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// Limits of one log. The limit per signer keeps one stolen device from filling the log
// before it is revoked.
const (
	maxEntries   = 4096
	maxPerSigner = 1024
)

// log is a set of entries that is closed under predecessors: a directed acyclic graph
// that begins with one first entry. A log that others can see is never changed: changes
// are made to a clone.
type log struct {
	kind  logKind
	nodes []*node // each after its predecessors; the order of the others is this replica's own
	index map[Hash]int
	heads []Hash // entries that are nobody's predecessor, ascending
}

// node is an entry in its place.
type node struct {
	*entry
	past bits // indexes of all entries before it
}

// bits is a set of small numbers.
type bits []uint64

func (b bits) has(i int) bool { return i/64 < len(b) && b[i/64]>>(i%64)&1 == 1 }

func (b bits) with(i int, also bits) bits {
	for len(b) < max(i/64+1, len(also)) {
		b = append(b, 0)
	}
	b[i/64] |= 1 << (i % 64)
	for j, w := range also {
		b[j] |= w
	}
	return b
}

func (b bits) and(o bits) bits {
	out := slices.Clone(b[:min(len(b), len(o))])
	for i := range out {
		out[i] &= o[i]
	}
	return out
}

func newLog(k logKind) *log { return &log{kind: k, index: map[Hash]int{}} }

// genesis is the first entry. The log must not be empty.
func (l *log) genesis() *node { return l.nodes[0] }

// id is the hash of the first entry, zero for an empty log.
func (l *log) id() Hash {
	if len(l.nodes) == 0 {
		return Hash{}
	}
	return l.genesis().hash
}

func (l *log) has(h Hash) bool { _, ok := l.index[h]; return ok }

func (l *log) clone() *log {
	return &log{kind: l.kind, nodes: slices.Clone(l.nodes), index: maps.Clone(l.index), heads: slices.Clone(l.heads)}
}

// add appends an entry and reports whether it was new. admitted says whether a key has been
// admitted before the entry, by whatever entry: whether that one is in effect is decided
// by settle, with the whole log in view. Errors: NotExist for a missing predecessor, Refused
// for a signer that is a stranger, Corrupt for an entry that cannot be of this log, TooLarge
// when the log is full.
func (l *log) add(e *entry, admitted func(signer ident.DeviceID, past bits) bool) (bool, error) {
	const op = "share.log"
	if l.has(e.hash) {
		return false, nil
	}
	if e.log != l.kind || (len(e.prev) == 0) != (len(l.nodes) == 0) {
		return false, errs.E(op, errs.Corrupt, "entry of another log", nil)
	}
	n := &node{entry: e}
	for _, h := range e.prev {
		i, ok := l.index[h]
		if !ok {
			return false, errs.E(op, errs.NotExist, "an entry before "+e.hash.short(), nil)
		}
		n.past = n.past.with(i, l.nodes[i].past)
	}
	if !admitted(e.signer, n.past) {
		return false, errs.E(op, errs.Refused, "signed by a stranger", nil)
	}
	count := 0
	for _, o := range l.nodes {
		if o.signer == e.signer {
			count++
		}
	}
	if len(l.nodes) >= maxEntries || count >= maxPerSigner {
		return false, errs.E(op, errs.TooLarge, "the log is full", nil)
	}
	l.index[e.hash] = len(l.nodes)
	l.nodes = append(l.nodes, n)
	l.heads = append(slices.DeleteFunc(l.heads, func(h Hash) bool { return slices.Contains(e.prev, h) }), e.hash)
	slices.SortFunc(l.heads, Hash.compare)
	return true, nil
}

// joinable returns heads for a new entry's Prev: all of them, or as many as fit.
func (l *log) joinable() []Hash { return slices.Clone(l.heads[:min(len(l.heads), maxPrev)]) }

// since returns the entries that are neither among heads nor before one of them, each
// after its predecessors. Heads that this log does not have are ignored.
func (l *log) since(heads []Hash) [][]byte {
	var theirs bits
	for _, h := range heads {
		if i, ok := l.index[h]; ok {
			theirs = theirs.with(i, l.nodes[i].past)
		}
	}
	var out [][]byte
	for i, n := range l.nodes {
		if !theirs.has(i) {
			out = append(out, n.raw)
		}
	}
	return out
}
