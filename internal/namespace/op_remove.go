package namespace

import (
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Remove removes a name: a file's (wantDir false: unlink; IsDir for a directory) or an empty
// directory's (NotDir, NotEmpty). It returns the entry that was there; its Nlink is the
// number of names left.
func (r *Replica) Remove(dir NodeID, name string, wantDir bool) (Entry, error) {
	const op = "namespace.Remove"
	var gone Entry
	err := r.update(op, func(t *tx) error {
		f, err := t.open(op, dir)
		if err != nil {
			return err
		}
		s := t.showingAt(f, name)
		switch {
		case s.it == nil:
			return errs.E(op, errs.NotExist, name, nil)
		case s.it.IsDir() && !wantDir:
			return errs.E(op, errs.IsDir, name, nil)
		case !s.it.IsDir() && wantDir:
			return errs.E(op, errs.NotDir, name, nil)
		}
		gone, err = t.remove(op, s)
		return err
	})
	return gone, err
}

// showingAt is find with its surroundings; it is nil where nothing is shown.
func (t *tx) showingAt(f folder, name string) showing {
	s := t.find(f, name)
	if s == nil {
		return showing{in: f}
	}
	return showing{in: f, group: t.group(f, s.Raw), it: s}
}

// remove removes what is shown as s: a directory if it is empty, a hard link, or a file's first
// name, whose place then passes to its smallest living link (N18).
func (t *tx) remove(op string, s showing) (Entry, error) {
	e := t.entry(s.in, s.it)
	if s.it.IsDir() {
		if !t.empty(folder{s.it.ID, s.it.Members}) {
			return e, errs.E(op, errs.NotEmpty, s.it.Name, nil)
		}
		t.removeFolder(s)
		e.Nlink = 0
		return e, nil
	}
	e.Nlink--
	if e.Nlink > 0 {
		t.attrs[e.ID] = true
	}
	if e.ID != s.it.ID || s.it.Of != (NodeID{}) || e.Nlink == 0 {
		t.removeShown(s)
		return e, nil
	}
	t.passOn(s, t.linksTo(e.ID)[0])
	return e, nil
}

// passOn gives a file, whose first name goes, the place of one of its links, which goes
// instead.
func (t *tx) passOn(s showing, link NodeID) {
	s = t.own(s)
	to, ok := t.show(link)
	if !ok {
		return
	}
	to = t.own(to)
	t.pinFor(s.in, s.it.Name, s.it.ID)
	t.pinFor(to.in, to.it.Name, to.it.ID)
	for _, l := range append([]NodeID{to.it.ID}, to.it.Twins...) {
		t.removeNode(&to.group, l)
	}
	stamp := t.stamp(s.it.ID)
	t.writeOut(&s.group, s.it.ID, nil)
	t.putPlace(s.it.ID, to.in.id, to.it.Name, false, stamp)
	t.reassert(s.it.ID)
	for _, twin := range s.it.Twins { // the same bytes under the same name: the name goes
		t.put(twin, merge.Nothing, nil, t.stamp(twin))
	}
}
