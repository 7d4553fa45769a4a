package daemon

import (
	"slices"

	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// tableTold holds the conflicts that have been told and are still there: directory, version.
const tableTold = '8'

// conflictID is one version that shows beside its name.
type conflictID struct{ dir, id namespace.NodeID }

// conflictIDs are those of a conflict.
func conflictIDs(c namespace.Clash) (ids []conflictID) {
	for _, v := range c.Versions[1:] {
		ids = append(ids, conflictID{c.Dir, v.ID})
	}
	return ids
}

// toldConflicts are noted on the disk once they have been told, so that a process that is ended
// in between leaves them to the next. One that is ended while it tells is told again.
type toldConflicts struct {
	db  *kv.DB
	all map[conflictID]bool
}

func (t *toldConflicts) key(id conflictID) kv.Key {
	return t.db.Key(tableTold, kv.Plain(id.dir[:]), kv.Plain(id.id[:]))
}

func (t *toldConflicts) load(db *kv.DB) error {
	t.db, t.all = db, map[conflictID]bool{}
	prefix := db.Key(tableTold)
	return db.ScanKeys(prefix, func(k kv.Key) bool {
		var id conflictID
		if k = k[len(prefix):]; len(k) == len(id.dir)+len(id.id) {
			copy(id.id[:], k[copy(id.dir[:], k):])
			t.all[id] = true
		}
		return true
	})
}

// fresh picks those of which something was not told.
func (t *toldConflicts) fresh(all []namespace.Clash) (out []namespace.Clash) {
	for _, c := range all {
		if slices.ContainsFunc(conflictIDs(c), func(id conflictID) bool { return !t.all[id] }) {
			out = append(out, c)
		}
	}
	return out
}

// add notes, durably, that conflicts were told.
func (t *toldConflicts) add(cs []namespace.Clash) error {
	b := t.db.Batch()
	defer b.Close()
	for _, c := range cs {
		for _, id := range conflictIDs(c) {
			t.all[id] = true
			if err := b.Set(t.key(id), nil); err != nil {
				return err
			}
		}
	}
	return b.Commit(kv.Sync)
}

// keep forgets all but those that are there: should one come again, it is told again.
func (t *toldConflicts) keep(there []namespace.Clash) error {
	gone := map[conflictID]bool{}
	for id := range t.all {
		gone[id] = true
	}
	for _, c := range there {
		for _, id := range conflictIDs(c) {
			delete(gone, id)
		}
	}
	b := t.db.Batch()
	defer b.Close()
	for id := range gone {
		delete(t.all, id)
		if err := b.Delete(t.key(id)); err != nil {
			return err
		}
	}
	return b.Commit(kv.NoSync)
}
