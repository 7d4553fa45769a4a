package sim

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// operations are what a step can do.
var operations = map[string]func(*world, *device, *Step){
	// of users: PATH …
	"create":  user((*action).create),  // PATH CONTENT
	"symlink": user((*action).symlink), // PATH CONTENT
	"mkfifo":  user((*action).mkfifo),  // PATH
	"mkdir":   user((*action).mkdir),   // PATH
	"write":   user((*action).write),   // PATH CONTENT
	"open":    user((*action).open),    // PATH HANDLE
	"commit":  user((*action).commit),  // HANDLE CONTENT
	"rename":  user((*action).rename),  // PATH NEW [noreplace|exchange]
	"link":    user((*action).link),    // PATH NEW
	"unlink":  user((*action).unlink),  // PATH
	"rmdir":   user((*action).rmdir),   // PATH
	"rmrf":    user((*action).rmrf),    // PATH
	"chmod":   user((*action).chmod),   // PATH MODE
	"chown":   user((*action).chown),   // PATH UID
	"utimes":  user((*action).utimes),  // PATH MTIME
	"xattr":   user((*action).xattr),   // PATH NAME VALUE
	"rmxattr": user((*action).rmxattr), // PATH NAME
	"policy":  user((*action).policy),  // PATH DEVICE HOW
	"settle":  user((*action).settle),  // PATH mine|theirs|both

	// of who looks: ends the play if it is otherwise
	"shows": (*world).shows, // PATH [CONTENT]
	"none":  (*world).none,  // PATH
	"count": (*world).count, // ENTRIES [PATH]
	"mtime": (*world).mtime, // PATH MTIME [not]

	// of machines
	"sync":    (*world).sync,
	"restart": (*world).restart,
	"crash":   (*world).crash,   // KEEP
	"power":   (*world).power,   // COMMITS KEEP: fails after so many
	"pull":    (*world).pull,    // FROM PAGE [CUT]
	"follow":  (*world).follow,  // FROM PAGE [CUT]
	"amid":    (*world).amid,    // FROM PAGE AT OTHER CUT
	"garbled": (*world).garbled, // FROM PAGE SEED [CUT]
	"again":   (*world).again,   // FRAME
	"collect": (*world).collect,
	"image":   (*world).image,   // of its disk: [raw]
	"restore": (*world).restore, // [unnoticed]
	"clone":   (*world).clone,   // its disk, for another machine that calls itself this device: [unnoticed]
	"retire":  (*world).retire,  // one of the two, for ever: [abruptly]
	"join":    (*world).join,    // a new member
	"leave":   (*world).leaves,  // for ever: a member no more
	"lie":     (*world).lie,     // WHO KIND: hears from somebody who signs nonsense
}

// action is one operation of a user, and what it may change.
type action struct {
	*device
	s       *Step
	targets map[nodeID]bool
	loose   bool // conflict copies may appear
	done    bool
}

// user wraps an operation: what it does not say it changes must stay as it is, and whoever
// watches hears of all that does not.
func user(do func(*action)) func(*world, *device, *Step) {
	return func(w *world, d *device, s *Step) {
		if d.blind {
			return // nobody works there
		}
		a := &action{device: d, s: s}
		d.began = d.names.Written() + 1
		if !w.check {
			do(a)
			d.seen = nil
			return
		}
		a.targets = map[nodeID]bool{}
		before := d.view()
		d.ids(before)
		names, watcher := d.names, d.names.Watch()
		do(a)
		d.seen = nil
		if d.names != names { // the device crashed
			return
		}
		d.checkView()
		if a.done {
			a.checkLocal(before)
		}
		d.checkNews(watcher, before)
		watcher.Close()
	}
}

func (a *action) target(ids ...nodeID) {
	for _, id := range ids {
		if a.targets != nil {
			a.targets[id] = true
		}
	}
}

// targetTwin: a file that is opened by a further name may be hidden by a twin under its first.
func (a *action) targetTwin(id nodeID) {
	if e, err := a.names.Get(id); err == nil {
		if shown, err := a.names.Lookup(e.Parent, e.Name); err == nil {
			a.target(shown.ID)
		}
	}
}

// lookup finds what the path shows.
func (a *action) lookup(path string) (entry, bool) {
	e, err := a.names.Resolve(path)
	return e, err == nil && path != ""
}

// into finds the directory in which the path's name is or would be.
func (a *action) into(path string) (dir entry, name string, ok bool) {
	up, name := splitPath(path)
	dir, err := a.names.Resolve(up)
	return dir, name, err == nil && dir.Kind == namespace.Dir && name != ""
}

// may reports success; an error must be of a kind that the operation may answer.
func (a *action) may(err error, kinds ...errs.Kind) bool {
	if err == nil {
		a.done = true
		return true
	}
	if !a.broke(err) && !slices.Contains(kinds, errs.KindOf(err)) {
		a.w.fail("no error", "%v", err)
	}
	return false
}

// shows: the user sees what he did. A hard link to nothing shows its file as soon as an operation has
// made one of what was a copy.
func (a *action) shows(dir nodeID, name string, id nodeID, c int) {
	e, err := a.names.Lookup(dir, name)
	if err == nil && e.ID != id && c == 0 {
		if x, err := a.names.Get(id); err == nil && x.ID == e.ID { // id is a link to it
			a.target(e.ID)
			return
		}
	}
	if err != nil || e.ID != id || c > 0 && contentOf(&e) != c {
		a.w.fail("read your writes", "%q shows %+v, %v", name, e, err)
	}
}

func (a *action) make(spec namespace.Spec, c int) {
	dir, name, ok := a.into(a.s.arg(0))
	if !ok {
		return
	}
	if !a.put(c) {
		return
	}
	e, err := a.names.Create(dir.ID, name, spec)
	if !a.may(err, errs.Exist) {
		return
	}
	a.target(e.ID)
	if spec.Kind == namespace.Dir {
		a.w.oracle.made(a.device, e.ID)
	} else {
		a.w.oracle.wrote(a.device, c)
	}
	a.shows(dir.ID, name, e.ID, c)
	if e.Kind != spec.Kind || e.Mode != spec.Mode || e.Nlink != 1 || e.Conflict != nil {
		a.w.fail("read your writes", "made %+v", e)
	}
}

func (a *action) create() {
	c := a.s.num(1)
	a.make(namespace.Spec{Kind: namespace.File, Mode: 0o644, Content: content(c)}, c)
}

func (a *action) symlink() {
	c := a.s.num(1)
	a.make(namespace.Spec{Kind: namespace.Symlink, Mode: 0o777, Target: fmt.Sprint("t", c)}, c)
}

func (a *action) mkfifo() { a.make(namespace.Spec{Kind: namespace.Fifo, Mode: 0o600}, 0) }
func (a *action) mkdir()  { a.make(namespace.Spec{Kind: namespace.Dir, Mode: 0o755}, 0) }

func (a *action) write() {
	e, ok := a.lookup(a.s.arg(0))
	if !ok || e.Kind != namespace.File {
		return
	}
	c := a.s.num(1)
	a.target(e.ID)
	a.targetTwin(e.ID)
	if !a.put(c) {
		return
	}
	n, err := a.names.Commit(e.ID, nil, content(c), namespace.Now)
	if !a.may(err, errs.Stale) { // a hard link to nothing
		return
	}
	a.w.oracle.replaced(a.device, contentOf(&e), c, e.Versions)
	a.w.oracle.wrote(a.device, c)
	kept := n.Mode == e.Mode && n.UID == e.UID || e.Conflict != nil // of a copy more may be known than shows
	if n.ID != e.ID || e.Nlink == 1 && n.Name != e.Name || contentOf(&n) != c || !kept || n.Mtime == e.Mtime {
		a.w.fail("read your writes", "%+v became %+v", e, n)
	}
	a.shows(e.Parent, e.Name, e.ID, c)
	a.shows(n.Parent, n.Name, e.ID, c)
}

func (a *action) open() {
	if e, ok := a.lookup(a.s.arg(0)); ok && e.Kind == namespace.File {
		a.handles[a.s.arg(1)] = handle{e.ID, e.Versions, contentOf(&e), e}
	}
}

// commit writes a file that was opened a while ago, whatever happened to it since.
func (a *action) commit() {
	h, ok := a.handles[a.s.arg(0)]
	if !ok {
		return
	}
	delete(a.handles, a.s.arg(0))
	e, err := a.names.Get(h.id)
	if errs.Is(err, errs.Stale) {
		a.bringBack(h)
		return
	}
	a.ok(err)
	a.target(h.id)
	a.targetTwin(h.id)
	c := a.s.num(1)
	if !a.put(c) {
		return
	}
	n, err := a.names.Commit(h.id, h.base, content(c), namespace.Now)
	if !a.may(err, errs.Stale) {
		return
	}
	if contentOf(&n) != c || n.Name != e.Name {
		a.w.fail("read your writes", "%+v became %+v", e, n)
	}
	a.w.oracle.replaced(a.device, h.seen, c, h.base)
	a.w.oracle.wrote(a.device, c)
	a.loose = !slices.Equal(h.base, e.Versions) // what the writer had not seen shows as a copy
}

// bringBack commits to a file that is gone. One that was removed here stays removed: the
// filesystem does not commit; one that was removed elsewhere comes back.
func (a *action) bringBack(h handle) {
	if a.s.arg(2) != "removed elsewhere" {
		return
	}
	c := a.s.num(1)
	if !a.put(c) {
		return
	}
	n, err := a.names.Commit(h.id, h.base, content(c), namespace.Now)
	if errs.Is(err, errs.Stale) {
		n, err = a.names.CommitLost(h.was, content(c), namespace.Now)
	}
	if !a.may(err, errs.Stale) {
		return
	}
	a.target(h.id, n.Parent)
	a.w.oracle.wrote(a.device, c)
	a.loose = true
	a.shows(n.Parent, n.Name, h.id, c)
}

func (a *action) rename() {
	src, dst := a.s.arg(0), a.s.arg(1)
	e, ok := a.lookup(src)
	from, name, ok1 := a.into(src)
	to, want, ok2 := a.into(dst)
	if !ok || !ok1 || !ok2 {
		return
	}
	flag := map[string]namespace.RenameFlag{"noreplace": namespace.RenameNoReplace, "exchange": namespace.RenameExchange}[a.s.arg(2)]
	target, there := a.lookup(dst)
	a.target(e.ID)
	var below []nodeID
	if there {
		a.target(target.ID)
		if target.Kind == namespace.Dir {
			below = a.w.oracle.shownAs(a.device, target.ID)
		}
	}
	moved, replaced, err := a.names.Rename(from.ID, name, to.ID, want, flag)
	if !a.may(err, errs.Exist, errs.NotExist, errs.Loop, errs.NotEmpty, errs.IsDir, errs.NotDir) {
		return
	}
	if there && target.ID == e.ID {
		return
	}
	if is, err := a.names.Get(e.ID); err == nil && is.ID != e.ID && is.ID == moved.ID { // a link that waited for a copy to become a file
		a.target(is.ID)
	} else if moved.ID != e.ID || moved.Content != e.Content || moved.Target != e.Target {
		a.w.fail("read your writes", "moved %+v", moved)
	}
	a.shows(to.ID, want, e.ID, contentOf(&e))
	if flag == namespace.RenameExchange {
		a.shows(from.ID, name, target.ID, contentOf(&target))
		return
	}
	if there != (replaced != nil) || there && replaced.ID != target.ID {
		a.w.fail("read your writes", "replaced %+v", replaced)
	}
	if there && target.Kind == namespace.Dir {
		a.w.oracle.removedDir(a.device, below)
	} else if there && replaced.Nlink == 0 {
		a.w.oracle.removed(a.device, &target)
	}
	if h, err := a.names.Lookup(from.ID, name); err == nil && src != dst {
		a.w.fail("read your writes", "the old name shows %+v", h)
	}
}

func (a *action) link() {
	e, ok := a.lookup(a.s.arg(0))
	dir, name, ok2 := a.into(a.s.arg(1))
	if !ok || !ok2 || e.Kind == namespace.Dir {
		return
	}
	a.target(e.ID)
	n, err := a.names.Link(e.ID, dir.ID, name)
	if !a.may(err, errs.Exist, errs.Forbidden) {
		return
	}
	waited := n.Nlink > e.Nlink && e.Conflict != nil // links may be known that waited for the copy to become a file
	if n.ID != e.ID || n.Nlink != e.Nlink+1 && !waited || n.Content != e.Content {
		a.w.fail("read your writes", "%+v linked as %+v", e, n)
	}
	a.shows(dir.ID, name, e.ID, contentOf(&e))
}

func (a *action) unlink() {
	e, ok := a.lookup(a.s.arg(0))
	if ok && e.Kind != namespace.Dir {
		a.unlinkEntry(e)
	}
}

func (a *action) unlinkEntry(e entry) bool {
	a.target(e.ID)
	gone, err := a.names.Remove(e.Parent, e.Name, false)
	if !a.may(err) {
		return false
	}
	if gone.ID != e.ID || gone.Nlink != e.Nlink-1 {
		a.w.fail("read your writes", "removed %+v, was %+v", gone, e)
	}
	if gone.Nlink == 0 {
		a.w.oracle.removed(a.device, &e)
	} else if n, err := a.names.Get(e.ID); err != nil || n.Nlink != gone.Nlink || n.Content != e.Content {
		a.w.fail("links are counted", "left %+v, %v", n, err)
	}
	if h, err := a.names.Lookup(e.Parent, e.Name); err == nil {
		a.w.fail("read your writes", "the name shows %+v", h)
	}
	return true
}

func (a *action) rmdir() {
	if e, ok := a.lookup(a.s.arg(0)); ok && e.Kind == namespace.Dir {
		a.rmdirEntry(e, errs.NotEmpty)
	}
}

func (a *action) rmdirEntry(e entry, may ...errs.Kind) bool {
	a.target(e.ID)
	all := a.w.oracle.shownAs(a.device, e.ID)
	_, err := a.names.Remove(e.Parent, e.Name, true)
	if !a.may(err, may...) {
		return false
	}
	a.w.oracle.removedDir(a.device, all)
	if h, err := a.names.Lookup(e.Parent, e.Name); err == nil {
		a.w.fail("read your writes", "the name shows %+v", h)
	}
	return true
}

// rmrf removes a tree by the names of one readdir (invariant 13).
func (a *action) rmrf() {
	e, ok := a.lookup(a.s.arg(0))
	if !ok {
		return
	}
	if e.Kind != namespace.Dir {
		a.unlinkEntry(e)
		return
	}
	a.removeTree(e)
}

func (a *action) removeTree(dir entry) bool {
	page, err := a.names.List(dir.ID, 0, 1<<20)
	a.ok(err)
	for _, listed := range page {
		e, err := a.names.Lookup(dir.ID, listed.Name)
		if err != nil {
			a.w.fail("rm -rf from one readdir", "%q was listed, then: %v", listed.Name, err)
		}
		switch {
		case e.Kind == namespace.Dir:
			if !a.removeTree(e) {
				return false
			}
		case !a.unlinkEntry(e):
			return false
		}
	}
	return a.rmdirEntry(dir)
}

func (a *action) setattr(c namespace.AttrChange, right func(now entry) bool) {
	e, ok := a.lookup(a.s.arg(0))
	if !ok {
		return
	}
	a.target(e.ID)
	n, err := a.names.SetAttr(e.ID, c)
	if !a.may(err) {
		return
	}
	now, err := a.names.Get(e.ID)
	if err != nil || n.ID != e.ID || n.Name != e.Name && e.Nlink == 1 || n.Content != e.Content || !right(n) || !right(now) {
		a.w.fail("read your writes", "%+v became %+v", e, n)
	}
}

func (a *action) chmod() {
	m := uint32(a.s.num(1))
	a.setattr(namespace.AttrChange{Mode: &m}, func(e entry) bool { return e.Mode == m })
}

func (a *action) chown() {
	u := uint32(a.s.num(1))
	a.setattr(namespace.AttrChange{UID: &u}, func(e entry) bool { return e.UID == u })
}

func (a *action) utimes() {
	m := int64(a.s.num(1))
	a.setattr(namespace.AttrChange{Mtime: &m}, func(e entry) bool { return e.Mtime == m })
}

func (a *action) xattr() {
	e, ok := a.lookup(a.s.arg(0))
	if !ok {
		return
	}
	a.target(e.ID)
	name, value := a.s.arg(1), a.s.arg(2)
	if !a.may(a.names.SetXattr(e.ID, name, []byte(value), namespace.XattrAny)) {
		return
	}
	if got, err := a.names.GetXattr(e.ID, name); err != nil || string(got) != value {
		a.w.fail("read your writes", "xattr %q, %v", got, err)
	}
}

func (a *action) rmxattr() {
	e, ok := a.lookup(a.s.arg(0))
	if !ok {
		return
	}
	a.target(e.ID)
	if !a.may(a.names.RemoveXattr(e.ID, a.s.arg(1)), errs.NoAttr) {
		return
	}
	if got, err := a.names.GetXattr(e.ID, a.s.arg(1)); !errs.Is(err, errs.NoAttr) {
		a.w.fail("read your writes", "xattr %q, %v", got, err)
	}
}

func (a *action) policy() {
	e, ok := a.lookup(a.s.arg(0))
	how, err := strconv.Atoi(a.s.arg(2))
	if !ok || err != nil {
		return
	}
	a.target(e.ID)
	dev := a.device.id
	if i := a.s.num(1); i < MaxDevices && a.w.dev(i) != nil {
		dev = a.w.dev(i).id
	}
	if !a.may(a.names.SetPlacement(e.ID, dev, namespace.Placement(how))) {
		return
	}
	if _, own, err := a.names.Placement(e.ID, dev); err != nil || own != namespace.Placement(how) {
		a.w.fail("read your writes", "policy %v, %v", own, err)
	}
}

func (w *world) shows(d *device, s *Step) {
	e, err := d.names.Resolve(s.arg(0))
	if err != nil || s.arg(1) != "" && contentOf(&e) != s.num(1) {
		w.fail("the case", "%q shows %+v, %v", s.arg(0), e, err)
	}
}

func (w *world) none(d *device, s *Step) {
	if e, err := d.names.Resolve(s.arg(0)); err == nil {
		w.fail("the case", "%q shows %+v", s.arg(0), e)
	}
}

func (w *world) mtime(d *device, s *Step) {
	e, err := d.names.Resolve(s.arg(0))
	if err != nil || (e.Mtime == int64(s.num(1))) == (s.arg(2) == "not") {
		w.fail("the case", "%q shows %+v, %v", s.arg(0), e, err)
	}
}

func (w *world) count(d *device, s *Step) {
	dir, err := d.names.Resolve(s.arg(1))
	if err != nil {
		w.fail("the case", "%v", err)
	}
	page, err := d.names.List(dir.ID, 0, 1<<20)
	d.ok(err)
	if len(page) != s.num(0) {
		var names []string
		for _, e := range page {
			names = append(names, e.Name)
		}
		w.fail("the case", "%q has the entries %q", s.arg(1), names)
	}
}
