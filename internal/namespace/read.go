package namespace

import (
	"slices"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
)

// Lookup returns what dir shows under name. NotExist (the name, or dir itself), NotDir.
func (r *Replica) Lookup(dir NodeID, name string) (e Entry, err error) {
	const op = "namespace.Lookup"
	err = r.read(func(t *tx) error {
		f, err := t.open(op, dir)
		if err != nil {
			return err
		}
		var ok bool
		if e, ok = t.lookup(f, name); !ok {
			return errs.E(op, errs.NotExist, name, nil)
		}
		return nil
	})
	return e, err
}

func (t *tx) lookup(f folder, name string) (Entry, bool) {
	if len(f.members) == 1 {
		if e, ok := t.fast(f, name, t.name(f.id, name).nodes); ok {
			return e, true
		}
	}
	s := t.find(f, name)
	if s == nil {
		return Entry{}, false
	}
	return t.entry(f, s), true
}

// Get returns the entry of a node by its first name; ids of conflict copies work too. Stale
// when it is shown nowhere.
func (r *Replica) Get(id NodeID) (e Entry, err error) {
	err = r.read(func(t *tx) error {
		var ok bool
		if e, ok = t.entryOf(id); !ok {
			return errs.E("namespace.Get", errs.Stale, "", nil)
		}
		return nil
	})
	return e, err
}

// entryOf is the entry of a node.
func (t *tx) entryOf(id NodeID) (Entry, bool) {
	if id == Root {
		return t.root(), true
	}
	if n := t.node(id); n.placed {
		if f := t.folder(n.at.parent); len(f.members) == 1 {
			if e, ok := t.fast(f, n.at.name, t.name(f.id, n.at.name).nodes); ok {
				return e, true
			}
		}
	}
	s, ok := t.show(id)
	if !ok {
		return Entry{}, false
	}
	if slices.Contains(s.it.Twins, id) { // shown through its twin, but a file of its own
		twin := *s.it
		twin.ID = id
		gs, _ := t.node(id).parts()
		twin.Group = &gs[0]
		return t.entry(s.in, &twin), true
	}
	return t.entry(s.in, s.it), true
}

// Path returns the slash-separated path of a node from the root, without a leading slash.
// Stale when it is shown nowhere.
func (r *Replica) Path(id NodeID) (string, error) {
	var names []string
	err := r.read(func(t *tx) error {
		for range maxDepth {
			if id == Root {
				return nil
			}
			s, ok := t.show(id)
			if !ok {
				break
			}
			names = append(names, s.it.Name)
			id = s.in.id
		}
		return errs.E("namespace.Path", errs.Stale, "", nil)
	})
	if err != nil {
		return "", err
	}
	slices.Reverse(names)
	return strings.Join(names, "/"), nil
}

// Resolve is the inverse of Path; it follows no symlinks, and ignores empty and "." elements.
// NotExist, NotDir.
func (r *Replica) Resolve(path string) (e Entry, err error) {
	const op = "namespace.Resolve"
	err = r.read(func(t *tx) error {
		e = t.root()
		for name := range strings.SplitSeq(path, "/") {
			if name == "" || name == "." {
				continue
			}
			f, err := t.open(op, e.ID)
			if err != nil {
				return err
			}
			var ok bool
			if e, ok = t.lookup(f, name); !ok {
				return errs.E(op, errs.NotExist, path, nil)
			}
		}
		return nil
	})
	return e, err
}

// get1 is entryOf for a node that is known to be shown.
func (t *tx) get1(id NodeID) Entry {
	e, _ := t.entryOf(id)
	return e
}
