package namespace

import (
	"github.com/shelffs/shelf/internal/errs"
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

// remove removes what is shown as s; a directory must be empty.
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
	t.removeShown(s)
	if e.Nlink > 0 {
		t.attrs[e.ID] = true
		t.moveCtime(e.ID)
	}
	return e, nil
}
