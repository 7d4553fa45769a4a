package namespace

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
)

// Versions lists the old states of a path, newest first: what the path showed, and what the file
// that it shows, or showed last, was called before. now is what it shows now, nil for nothing. Any
// part of the path may be a name that is gone, or something else by now. NotExist: nothing is known of it. NotDir.
func (r *Replica) Versions(path string) (now *Entry, past []Former, err error) {
	const op = "namespace.Versions"
	err = r.read(func(t *tx) error {
		names := splitPath(path)
		if len(names) == 0 {
			e := t.root()
			now = &e
			return nil
		}
		at := []stay{{dir: Root, until: math.MaxInt64}}
		for _, name := range names[:len(names)-1] {
			var other bool
			if at, other = t.below(at, name); len(at) == 0 && other {
				return errs.E(op, errs.NotDir, path, nil)
			}
		}
		for _, s := range at {
			present, states := t.during(s, names[len(names)-1])
			if past = append(past, states...); present != nil {
				now = present
			}
		}
		newestFirst(past)
		if past = slices.CompactFunc(past, func(a, b Former) bool { return a.Key == b.Key }); now == nil && len(past) == 0 {
			return errs.E(op, errs.NotExist, path, nil)
		}
		past = t.calledBefore(now, past)
		return nil
	})
	return now, past, err
}

// stay is a directory that a path led to for a while.
type stay struct {
	dir         NodeID
	from, until int64   // nanoseconds
	end         *Former // the state of a directory above, or of itself, that ended it; nil: it lasts
}

// maxStays bounds how many directories of one path are looked at, the latest first.
const maxStays = 64

// below finds the directories that a path led to which leads from these to a name; other: something has that, or had.
func (t *tx) below(at []stay, name string) (out []stay, other bool) {
	for _, s := range at {
		now, past := t.during(s, name)
		other = other || now != nil || len(past) > 0
		if now != nil && now.Kind == Dir {
			out = append(out, stay{dir: now.ID, from: s.from, until: s.until})
		}
		for i := range past {
			if f := &past[i]; f.Kind == Dir && f.How != Overwritten {
				out = append(out, stay{f.ID, max(s.from, f.From), f.Until(), f})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b stay) int { return -cmp.Compare(a.until, b.until) })
	return out[:min(len(out), maxStays)], other
}

// during is what a directory shows under a name, if the path still leads there, and showed while it did, newest first. A
// state that only the way there has ended is among these.
func (t *tx) during(s stay, name string) (now *Entry, past []Former) {
	now, all := t.named(s.dir, name)
	for _, f := range all {
		if f.Until() > s.from && f.Until() <= s.until {
			past = append(past, f)
		}
	}
	if s.end == nil {
		return now, past
	}
	if f, ok := t.lasting(s, name, now, all); ok {
		past = slices.Insert(past, 0, f)
	}
	return nil, past
}

// lasting is the state of a name that was there when a stay ended, and had not ended by itself.
func (t *tx) lasting(s stay, name string, now *Entry, all []Former) (f Former, ok bool) {
	e, from := now, int64(0)
	if now != nil {
		from = t.since(*now, t.clock())
	}
	for _, g := range slices.Backward(all) {
		if g.Until() >= s.until {
			if g.Until() == s.until {
				return f, false
			}
			e, from = &g.Entry, g.From
			break
		}
	}
	if e == nil || from >= s.until {
		return f, false
	}
	f = *s.end
	f.Entry, f.From, f.node = *e, from, e.ID
	f.Parent, f.Name = s.dir, name
	f.Key.Hash = hashRow(append(binary.BigEndian.AppendUint32(e.ID[:], f.Key.Hash), name...))
	return f, true
}

// calledBefore adds what the file that a path shows, or showed last, was called before.
func (t *tx) calledBefore(now *Entry, past []Former) []Former {
	before, node := FormerKey{Until: math.MaxUint64}, NodeID{}
	if now != nil {
		node = now.ID
	} else {
		before, node = past[0].Key, past[0].ID
	}
	for _, f := range t.formers(t.keys.formerNode(node)) {
		if f.Key.compare(before) < 0 && !slices.ContainsFunc(past, func(g Former) bool { return g.Key == f.Key }) {
			past = append(past, f)
		}
	}
	newestFirst(past)
	return past
}
