package fs

import (
	"strings"

	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Speller finds names of a directory by the keys of package alias; a *namespace.Replica that
// was opened with the same rules is one.
type Speller interface {
	Alike(dir namespace.NodeID, keys ...string) ([][]string, error)
}

// spelled is a Namespace in which names count as a mount's rules say: whoever spells one
// otherwise, or as it shows here, means it. Its entries have the names of the share. Exactly
// spelled a name is always itself.
//
// Between finding a name and using it another device may change it, as it may just after: who
// makes two names in one directory at the same time through a mount is ordered by the kernel.
type spelled struct {
	Namespace
	rules alias.Rules
	index Speller
}

func spell(n Namespace, r alias.Rules) (*spelled, error) {
	index, ok := n.(Speller)
	if !ok {
		return nil, errs.E("fs.New", errs.Invalid, "names "+r.String()+" without an index", nil)
	}
	return &spelled{n, r, index}, nil
}

// class lists the names of dir that have a key; none where dir is gone.
func (s *spelled) class(dir namespace.NodeID, key string) ([]string, error) {
	cs, err := s.index.Alike(dir, key)
	if err != nil {
		return nil, err
	}
	return cs[0], nil
}

// find is the name in dir that somebody means.
func (s *spelled) find(dir namespace.NodeID, as string) (name string, ok bool, err error) {
	key, walk := s.rules.Key(as)
	if walk {
		return s.walk(dir, as)
	}
	class, err := s.class(dir, key)
	if err != nil {
		return "", false, err
	}
	name, ok = s.rules.Find(as, class)
	return name, ok, nil
}

// walk is find for an alias that only a walk through the directory can tell.
func (s *spelled) walk(dir namespace.NodeID, as string) (string, bool, error) {
	for after := uint64(0); ; {
		page, err := s.Namespace.List(dir, after, dirBatch)
		if err != nil || len(page) == 0 {
			return "", false, err
		}
		for i := range page {
			name := page[i].Name
			if s.rules.IsAlias(as, name) {
				return name, true, nil
			}
		}
		after = page[len(page)-1].Cookie
	}
}

// show is what the names of a page of a listing show as.
func (s *spelled) show(dir namespace.NodeID, page []namespace.DirEntry) ([]string, error) {
	keys := make([]string, len(page))
	for i := range page {
		keys[i] = s.rules.Home(page[i].Name)
	}
	classes, err := s.index.Alike(dir, keys...)
	if err != nil {
		return nil, err
	}
	for i := range page {
		keys[i] = s.rules.Show(page[i].Name, classes[i])
	}
	return keys, nil
}

// vacant is for a name that is to be made: Exist if that or another that counts as it is there,
// Invalid if it cannot be here.
func (s *spelled) vacant(op string, dir namespace.NodeID, name string) error {
	switch _, ok, err := s.find(dir, name); {
	case err != nil:
		return err
	case ok:
		return errs.E(op, errs.Exist, name, nil)
	case len(name) <= namespace.MaxName && !s.rules.Legal(name):
		return errs.E(op, errs.Invalid, name, nil)
	}
	return nil
}

// Lookup implements Namespace.
func (s *spelled) Lookup(dir namespace.NodeID, as string) (namespace.Entry, error) {
	_, e, err := s.lookup(dir, as)
	return e, err
}

// lookup is Lookup, and the name in the share. Nearly always it is spelled exactly.
func (s *spelled) lookup(dir namespace.NodeID, as string) (string, namespace.Entry, error) {
	e, err := s.Namespace.Lookup(dir, as)
	if !errs.Is(err, errs.NotExist) || len(as) > namespace.MaxName {
		return as, e, err
	}
	name, ok, ferr := s.find(dir, as)
	if ferr != nil || !ok {
		return as, e, err
	}
	e, err = s.Namespace.Lookup(dir, name)
	return name, e, err
}

// Create implements Namespace.
func (s *spelled) Create(dir namespace.NodeID, name string, spec namespace.Spec) (namespace.Entry, error) {
	if err := s.vacant("fs.Create", dir, name); err != nil {
		return namespace.Entry{}, err
	}
	return s.Namespace.Create(dir, name, spec)
}

// Link implements Namespace.
func (s *spelled) Link(id, dir namespace.NodeID, name string) (namespace.Entry, error) {
	if err := s.vacant("fs.Link", dir, name); err != nil {
		return namespace.Entry{}, err
	}
	return s.Namespace.Link(id, dir, name)
}

// Remove implements Namespace.
func (s *spelled) Remove(dir namespace.NodeID, as string, wantDir bool) (namespace.Entry, error) {
	name, err := s.meant(dir, as)
	if err != nil {
		return namespace.Entry{}, err
	}
	return s.Namespace.Remove(dir, name, wantDir)
}

// meant is find, with the name itself where there is none.
func (s *spelled) meant(dir namespace.NodeID, as string) (string, error) {
	name, ok, err := s.find(dir, as)
	if !ok {
		name = as
	}
	return name, err
}

// Rename implements Namespace. A name that counts as the source's own is a new spelling of it.
func (s *spelled) Rename(srcDir namespace.NodeID, src string, dstDir namespace.NodeID, dst string, f namespace.RenameFlag) (namespace.Entry, *namespace.Entry, error) {
	from, err := s.meant(srcDir, src)
	if err != nil {
		return namespace.Entry{}, nil, err
	}
	to, there, err := s.find(dstDir, dst)
	if err != nil {
		return namespace.Entry{}, nil, err
	}
	if !there || to == from && dstDir == srcDir {
		if to = dst; to != from && len(to) <= namespace.MaxName && !s.rules.Legal(to) {
			return namespace.Entry{}, nil, errs.E("fs.Rename", errs.Invalid, to, nil)
		}
	}
	return s.Namespace.Rename(srcDir, from, dstDir, to, f)
}

// Spell is a path of the share as its parts are called there, for one that somebody spelled as it
// shows in this mount. From a part on that is not there it is left as it is.
func (fs *FS) Spell(path string) string {
	if fs.spelled == nil {
		return path
	}
	parts, dir := strings.Split(path, "/"), namespace.Root
	for i, p := range parts {
		if p == "" || p == "." {
			continue
		}
		name, e, err := fs.spelled.lookup(dir, p)
		if err != nil {
			break
		}
		parts[i], dir = name, e.ID
	}
	return strings.Join(parts, "/")
}
