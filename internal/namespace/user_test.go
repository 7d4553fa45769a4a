package namespace

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
)

func stack() string { return string(debug.Stack()) }

// user is what one step of a play does, seen from one device.
type user struct {
	*play
	dev     int
	r       *Replica
	v       tree
	op      string
	loose   bool            // copies may appear
	targets map[NodeID]bool // what the operation may change
}

// kill notes that the user saw these bytes and removed them.
func (u *user) kill(e Entry) {
	delete(u.alive, int(e.Content.Size))
	for _, d := range e.Versions {
		u.gone[d] = true
	}
}

func (u *user) content() int {
	n := 4
	if u.cfg.bias {
		n = 2
	}
	if u.rng.Intn(n) == 0 {
		return 1 + u.rng.Intn(3) // shared: identical bytes on several devices
	}
	u.next++
	return u.next
}

func (u *user) wrote(c int, how string) {
	if c > 3 {
		u.alive[c] = how
	}
}

func pick[T any](u *user, list []T) T { return list[u.rng.Intn(len(list))] }

// must ends the play unless err is nil or of a kind that the operation may answer.
func (u *user) may(err error, ks ...errs.Kind) bool {
	if err != nil && !isKind(err, ks...) {
		u.fatalf("%s: %v", u.op, err)
	}
	return err == nil
}

func (u *user) act() {
	dirs := []NodeID{Root}
	var files, folders, hot []Entry
	for _, e := range u.v.ids {
		if e.Kind == Dir {
			dirs = append(dirs, e.ID)
			folders = append(folders, e)
		} else {
			files = append(files, e)
			if e.Conflict != nil {
				hot = append(hot, e)
			}
		}
	}
	byID := func(a, b Entry) int { return a.ID.Compare(b.ID) }
	slices.SortFunc(dirs, NodeID.Compare)
	slices.SortFunc(files, byID)
	slices.SortFunc(folders, byID)
	slices.SortFunc(hot, byID)
	if u.cfg.bias && len(hot) > 0 && u.rng.Intn(2) == 0 {
		files = hot
	}
	dir, name := pick(u, dirs), pick(u, playNames)
	if u.cfg.bias {
		name = pick(u, playNames[:2])
	}
	x := u.rng.Intn(100)
	if u.cfg.dirs && len(folders) > 0 && u.rng.Intn(100) < 50 {
		x = 60
	}
	switch {
	case x < 22 || len(files)+len(folders) == 0:
		u.write(dir, name)
	case x < 34:
		u.mkdir(dir, name)
	case x < 44 && len(files) > 0:
		u.edit(pick(u, files), nil)
	case x < 48 && len(files) > 0:
		e := pick(u, files)
		u.open = append(u.open, handle{u.dev, e.ID, e.Versions, int(e.Content.Size)})
	case x < 52:
		u.commitOpen()
	case x < 57 && len(files) > 0:
		u.touch(pick(u, files))
	case x < 82:
		var e Entry
		if len(folders) > 0 && (x == 60 || len(files) == 0 || u.rng.Intn(2) == 0) {
			e = pick(u, folders)
			if u.rng.Intn(2) == 0 {
				name = e.Name
			}
		} else if len(files) > 0 {
			e = pick(u, files)
		} else {
			return
		}
		u.rename(e, dir, name)
	case x < 87 && u.cfg.links && len(files) > 0:
		u.link(pick(u, files), dir, name)
	case x < 94 && len(files) > 0:
		u.unlink(pick(u, files))
	case len(folders) > 0:
		u.removeAll(pick(u, folders))
	}
}

func (u *user) write(dir NodeID, name string) {
	e, there := u.v.kids[dir][name]
	if there {
		if e.Kind == File {
			u.edit(e, nil)
		}
		return
	}
	c := u.content()
	u.op = fmt.Sprintf("create %q in %v with %d", name, dir, c)
	n, err := u.r.Create(dir, name, Spec{Kind: File, Mode: 0o644, Content: content(c)})
	if u.may(err) {
		u.targets[n.ID] = true
		u.wrote(c, u.op)
		u.expect(dir, name, n.ID, c)
	}
}

// expect: the user reads what he wrote.
func (u *user) expect(dir NodeID, name string, id NodeID, c int) {
	if e, err := u.r.Lookup(dir, name); err != nil || e.ID != id || c > 0 && e.Content != content(c) {
		u.fatalf("%s: shows %+v, %v", u.op, e, err)
	}
}

func (u *user) mkdir(dir NodeID, name string) {
	if _, there := u.v.kids[dir][name]; there {
		return
	}
	u.op = fmt.Sprintf("mkdir %q in %v", name, dir)
	if e, err := u.r.Create(dir, name, Spec{Kind: Dir, Mode: 0o755}); u.may(err) {
		u.targets[e.ID] = true
		u.expect(dir, name, e.ID, 0)
	}
}

func (u *user) edit(e Entry, base []Dot) {
	if e.Kind != File {
		return
	}
	c := u.content()
	u.op = fmt.Sprintf("edit %q (%v) with %d", e.Name, e.ID, c)
	u.targets[e.ID] = true
	n, err := u.r.Commit(e.ID, base, content(c), 0)
	if !u.may(err, errs.Stale) { // Stale: a hard link to nothing
		u.op = ""
		return
	}
	u.kill(e)
	u.wrote(c, u.op)
	if n.ID != e.ID || e.Nlink == 1 && n.Name != e.Name || n.Content != content(c) {
		u.fatalf("%s: became %+v", u.op, n)
	}
	u.expect(e.Parent, e.Name, n.ID, c)
	u.expect(n.Parent, n.Name, n.ID, c)
}

// commitOpen writes a file that was opened a while ago, whatever happened to it since.
func (u *user) commitOpen() {
	for i, h := range u.open {
		if h.dev != u.dev {
			continue
		}
		u.open = slices.Delete(u.open, i, i+1)
		u.next++
		c := u.next
		u.op = fmt.Sprintf("commit %d to %v, opened with %d", c, h.id, h.seen)
		u.targets[h.id] = true
		e, err := u.r.Get(h.id)
		if isKind(err, errs.Stale) {
			u.op = ""
			return // removed here: a filesystem does not commit
		}
		u.targets[u.v.kids[e.Parent][e.Name].ID] = true // a twin through which it is shown
		if n, err := u.r.Commit(h.id, h.base, content(c), 0); u.may(err, errs.Stale) {
			if n.Content != content(c) || n.Name != e.Name {
				u.fatalf("%s: became %+v, was %+v", u.op, n, e)
			}
			delete(u.alive, h.seen)
			for _, d := range h.base {
				u.gone[d] = true
			}
			u.wrote(c, u.op)
			if !slices.Equal(h.base, e.Versions) { // what the writer had not seen shows as a copy
				u.loose = true
			}
		}
		return
	}
}

func (u *user) touch(e Entry) {
	m := int64(u.rng.Intn(1000)) - 5000
	mode := uint32(u.rng.Intn(01000))
	u.op = fmt.Sprintf("touch %q (%v) %d", e.Name, e.ID, m)
	u.targets[e.ID] = true
	n, err := u.r.SetAttr(e.ID, AttrChange{Mtime: &m, Mode: &mode})
	if u.may(err) && (n.Mtime != m || n.Mode != mode || n.Name != e.Name || n.Content != e.Content) {
		u.fatalf("%s: became %+v", u.op, n)
	}
	if u.may(u.r.SetXattr(e.ID, "user.x", []byte(u.op), XattrAny)) {
		if got, err := u.r.GetXattr(e.ID, "user.x"); err != nil || string(got) != u.op {
			u.fatalf("%s: xattr %q %v", u.op, got, err)
		}
	}
}

func (u *user) rename(e Entry, dir NodeID, name string) {
	flag := RenameFlag(u.rng.Intn(3))
	target, there := u.v.kids[dir][name]
	u.op = fmt.Sprintf("rename %q (%v in %v) to %q (%v) in %v, flag %d", e.Name, e.ID, e.Parent, name, target.ID, dir, flag)
	u.targets[e.ID] = true
	if there {
		u.targets[target.ID] = true
	}
	moved, replaced, err := u.r.Rename(e.Parent, e.Name, dir, name, flag)
	if !u.may(err, errs.Exist, errs.NotExist, errs.Loop, errs.NotEmpty, errs.IsDir, errs.NotDir) {
		u.op = ""
		return
	}
	if there && target.ID == e.ID {
		return
	}
	if moved.ID != e.ID || moved.Content != e.Content {
		u.fatalf("%s: moved %+v", u.op, moved)
	}
	u.expect(dir, name, e.ID, int(e.Content.Size))
	if flag == RenameExchange {
		u.expect(e.Parent, e.Name, target.ID, int(target.Content.Size))
		return
	}
	if there != (replaced != nil) {
		u.fatalf("%s: replaced %+v", u.op, replaced)
	}
	if there && replaced.Nlink == 0 {
		u.kill(target)
	}
	if h, err := u.r.Lookup(e.Parent, e.Name); err == nil && (e.Parent != dir || e.Name != name) {
		u.fatalf("%s: the old name shows %+v", u.op, h)
	}
}

func (u *user) link(e Entry, dir NodeID, name string) {
	u.op = fmt.Sprintf("link %q (%v) to %q in %v", e.Name, e.ID, name, dir)
	u.targets[e.ID] = true
	n, err := u.r.Link(e.ID, dir, name)
	if !u.may(err, errs.Exist, errs.Forbidden) {
		u.op = ""
		return
	}
	if n.ID != e.ID || n.Nlink != e.Nlink+1 || n.Content != e.Content {
		u.fatalf("%s: became %+v", u.op, n)
	}
	u.expect(dir, name, e.ID, int(e.Content.Size))
}

func (u *user) unlink(e Entry) {
	u.op = fmt.Sprintf("unlink %q (%v) in %v", e.Name, e.ID, e.Parent)
	u.targets[e.ID] = true
	gone, err := u.r.Remove(e.Parent, e.Name, false)
	if !u.may(err) {
		return
	}
	if gone.ID != e.ID || gone.Nlink != e.Nlink-1 {
		u.fatalf("%s: removed %+v", u.op, gone)
	}
	if gone.Nlink == 0 {
		u.kill(e)
	} else if n, err := u.r.Get(e.ID); err != nil || n.Nlink != gone.Nlink || n.Content != e.Content {
		u.fatalf("%s: left %+v, %v", u.op, n, err)
	}
	if h, err := u.r.Lookup(e.Parent, e.Name); err == nil {
		u.fatalf("%s: the name shows %+v", u.op, h)
	}
}

// removeAll is rm -rf with the names of one readdir.
func (u *user) removeAll(e Entry) {
	u.op = fmt.Sprintf("rm -rf %q (%v) in %v", e.Name, e.ID, e.Parent)
	u.removeTree(e)
}

func (u *user) removeTree(e Entry) {
	for _, name := range sortedNames(u.v.kids[e.ID]) {
		k := u.v.kids[e.ID][name]
		if k.Kind == Dir {
			u.removeTree(k)
			continue
		}
		u.targets[k.ID] = true
		gone, err := u.r.Remove(e.ID, name, false)
		if err != nil {
			u.fatalf("%s: %q: %v", u.op, name, err)
		}
		if gone.Nlink == 0 {
			u.kill(gone)
		}
	}
	u.targets[e.ID] = true
	if _, err := u.r.Remove(e.Parent, e.Name, true); err != nil {
		u.fatalf("%s: directory %q: %v", u.op, e.Name, err)
	}
}

func sortedNames(m map[string]Entry) (out []string) {
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// checkLocal: the operation changed nothing but its targets.
func (u *user) checkLocal(after tree) {
	for id, e := range u.v.ids {
		if u.targets[id] {
			continue
		}
		f, there := after.ids[id]
		if !there && u.loose && e.Conflict != nil {
			continue // the copy is what the writer had seen
		}
		if !there {
			u.fatalf("%s: bystander %q (%v) is gone", u.op, e.Name, id)
		}
		if f.Parent != e.Parent || f.Name != e.Name || f.Content != e.Content || f.Mode != e.Mode || e.Kind != Dir && f.Mtime != e.Mtime {
			u.fatalf("%s: bystander changed from\n%+v\nto\n%+v", u.op, e, f)
		}
	}
	for id, f := range after.ids {
		if u.v.kids[f.Parent][f.Name].ID == id {
			continue // a hard link's place has become the file's own
		}
		if _, there := u.v.ids[id]; !there && !u.targets[id] && !u.loose {
			u.fatalf("%s: %q appeared", u.op, f.Name)
		}
	}
}
