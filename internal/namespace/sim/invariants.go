package sim

import (
	"context"
	"slices"

	"github.com/shelffs/shelf/internal/namespace"
)

// checkView: the incremental view is the pure one, and everything in it can be found by its
// path (invariants 5, 6, 7, 22).
func (d *device) checkView() {
	d.w.stats.Met["views checked"]++
	shape, err := d.names.CheckShape()
	if err != nil {
		d.w.fail("the incremental view is the pure one", "%v", err)
	}
	d.w.stats.shape(shape)
	v := d.view()
	for id, x := range d.ids(v) {
		path, err := d.names.Path(id)
		if again, err2 := d.names.Resolve(path); err != nil || err2 != nil || again.ID != id || path != x.path {
			d.w.fail("what is shown is found", "%q has the path %q: %v %v", x.path, path, err, err2)
		}
	}
	d.checkOnce(v)
	d.checkClashes(v)
}

// checkOnce: no version is shown twice, nor a file, but by its hard links (invariant 10).
func (d *device) checkOnce(v *view) {
	shown := map[namespace.Dot]*item{}
	names := map[nodeID]uint32{}
	for i := range v.items {
		x := &v.items[i]
		if names[x.ID]++; names[x.ID] > x.Nlink {
			d.w.fail("each file is shown once", "%q with %d names: %+v", x.path, x.Nlink, x.entry)
		}
		for _, u := range x.Versions {
			if y := shown[u]; y != nil && y.ID != x.ID {
				d.w.fail("each version is shown once", "%q and %q are %v", x.path, y.path, u)
			}
			shown[u] = x
		}
	}
}

// checkLocal: an operation has changed nothing but its targets (invariant 12).
func (a *action) checkLocal(before *view) {
	after := a.view()
	was, now := a.ids(before), a.ids(after)
	for id, e := range was {
		if a.targets[id] {
			continue
		}
		f := now[id]
		if f == nil && a.loose && e.Conflict != nil {
			continue // the copy is what the writer had seen
		}
		if x, err := a.names.Get(id); f == nil && err == nil && a.targets[x.ID] {
			continue // a link that waited for the copy to become a file
		}
		if f == nil {
			a.w.fail("locality", "bystander %q is gone", e.path)
		}
		if f.Parent != e.Parent || f.Name != e.Name || f.Content != e.Content || f.Target != e.Target ||
			len(e.Versions) > 0 && (f.Mode != e.Mode || f.UID != e.UID) || // removed directories are as those above
			!e.isDir() && (f.Mtime != e.Mtime || f.Nlink != e.Nlink) {
			a.w.fail("locality", "bystander changed from\n%+v\nto\n%+v", e, f)
		}
	}
	for id, f := range now {
		if was[id] == nil && !a.targets[id] && !a.loose && before.at(f.Parent, f.Name) == nil {
			a.w.fail("locality", "%q appeared", f.path)
		}
	}
}

// checkNews: whatever shows differently now was told to who watches.
func (d *device) checkNews(watcher *namespace.Watcher, before *view) {
	type told struct {
		what namespace.What
		node nodeID // of NameChanged: the directory
		name string
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	news := map[told]nodeID{}
	if all, err := watcher.Next(done); err == nil {
		for _, c := range all {
			if c.What == namespace.NameChanged {
				news[told{c.What, c.Parent, c.Name}] = c.Node
			} else {
				news[told{what: c.What, node: c.Node}] = c.Node
			}
		}
	}
	after := d.view()
	old, now := d.ids(before), d.ids(after)
	name := func(x *item, is nodeID) {
		if x.Parent != namespace.Root && (old[x.Parent] == nil || now[x.Parent] == nil) {
			return // nobody can have looked into it, or can now
		}
		if got, ok := news[told{namespace.NameChanged, x.Parent, x.Name}]; !ok || got != is {
			d.w.fail("watchers hear of everything", "%q stands for %v now: told %v, %v", x.path, is, ok, got)
		}
	}
	for i := range after.items {
		x := &after.items[i]
		if was := before.at(x.Parent, x.Name); was == nil || was.ID != x.ID {
			name(x, x.ID)
		}
	}
	for i := range before.items {
		if x := &before.items[i]; after.at(x.Parent, x.Name) == nil {
			name(x, nodeID{})
		}
	}
	for id := range d.shown { // of what shows nowhere who has it open may be told, too, and looks again
		if _, content := news[told{what: namespace.ContentChanged, node: id}]; content && now[id] == nil {
			delete(d.shown, id)
		}
	}
	for id, x := range now {
		was, last := old[id], d.shown[id]
		d.shown[id] = x
		back := was == nil
		if back {
			was = last // who has it open knows what it was
		}
		if was == nil || x.isDir() || back && was.Conflict != nil {
			continue
		}
		_, content := news[told{what: namespace.ContentChanged, node: id}]
		_, attr := news[told{what: namespace.AttrChanged, node: id}]
		if x.Content != was.Content && !content {
			d.w.fail("watchers hear of everything", "nobody told that the content of %q changed", x.path)
		}
		if (x.Mode != was.Mode || x.UID != was.UID || x.Mtime != was.Mtime || x.Nlink != was.Nlink) && !content && !attr && !back {
			d.w.fail("watchers hear of everything", "nobody told that the attributes of %q changed", x.path)
		}
	}
}

// same compares what two devices show. Times of directories may differ.
func (w *world) same(a, b *device) {
	v, u := a.view(), b.view()
	for i := range min(len(v.items), len(u.items)) {
		if x, y := &v.items[i], &u.items[i]; x.path != y.path || !equal(x.entry, y.entry) {
			w.fail("convergence", "%s shows\n%q %+v %+v\nand %s\n%q %+v %+v", deviceName(a.i), x.path, x.entry, x.Conflict, deviceName(b.i), y.path, y.entry, y.Conflict)
		}
		if len(v.items) == len(u.items) {
			w.sameHidden(a, b, &v.items[i])
		}
	}
	if len(v.items) != len(u.items) {
		w.fail("convergence", "%s shows %d entries and %s %d", deviceName(a.i), len(v.items), deviceName(b.i), len(u.items))
	}
}

func equal(x, y entry) bool {
	if x.Kind == namespace.Dir {
		y.Mtime, y.Ctime, y.Atime = x.Mtime, x.Ctime, x.Atime
	}
	if (x.Conflict == nil) != (y.Conflict == nil) || x.Conflict != nil && *x.Conflict != *y.Conflict || !slices.Equal(x.Versions, y.Versions) {
		return false
	}
	return x.ID == y.ID && x.Parent == y.Parent && x.Name == y.Name && x.Kind == y.Kind && x.Mode == y.Mode && x.UID == y.UID && x.GID == y.GID &&
		x.Rdev == y.Rdev && x.Nlink == y.Nlink && x.Mtime == y.Mtime && x.Ctime == y.Ctime && x.Atime == y.Atime &&
		x.Content == y.Content && x.Target == y.Target && x.Writer == y.Writer && x.Stamp == y.Stamp
}

// sameHidden compares what an entry does not show: attributes by name, placements.
func (w *world) sameHidden(a, b *device, x *item) {
	names, err1 := a.names.ListXattr(x.ID)
	others, err2 := b.names.ListXattr(x.ID)
	if err1 != nil || err2 != nil || !slices.Equal(names, others) {
		w.fail("convergence", "xattrs of %q: %q and %q", x.path, names, others)
	}
	for _, n := range names {
		v, _ := a.names.GetXattr(x.ID, n)
		u, _ := b.names.GetXattr(x.ID, n)
		if string(v) != string(u) {
			w.fail("convergence", "xattr %q of %q: %q and %q", n, x.path, v, u)
		}
	}
	for _, d := range w.devices {
		p, own, _ := a.names.Placement(x.ID, d.id)
		q, other, _ := b.names.Placement(x.ID, d.id)
		if p != q || own != other {
			w.fail("convergence", "placement of %q: %v and %v", x.path, p, q)
		}
	}
}
