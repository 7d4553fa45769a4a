package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/errs"
)

// undone is the way back of one name: from what the newest change left to the oldest state.
type undone struct {
	was  Former // with the oldest contents of the file
	left left
	how  How // of the newest
	put  Put // as it is told
}

// plan finds one way for each name, newest change first. A file with several has as many, and one past. What had a
// name only after another had it does not get it back.
func (u *undoer) plan(ended []Former) (todo []undone) {
	at, oldest, first := map[NodeID]int{}, map[NodeID]Entry{}, map[nameKey]NodeID{}
	for _, f := range ended {
		i, ok := at[f.node]
		if !ok {
			i, at[f.node] = len(todo), len(todo)
			todo = append(todo, undone{left: f.left, how: f.How})
		}
		if todo[i].was = f; f.How != Returned {
			oldest[f.ID] = f.Entry
		}
	}
	for _, f := range ended {
		if i := at[f.node]; todo[i].was.Key == f.Key && f.How != Returned {
			first[f.at()] = f.node
		}
	}
	todo = slices.DeleteFunc(todo, func(x undone) bool { return x.was.How != Returned && first[x.was.at()] != x.was.node })
	for i := range todo {
		x := &todo[i]
		if o, ok := oldest[x.was.ID]; ok && x.was.How != Returned {
			o.Parent, o.Name = x.was.Parent, x.was.Name
			x.was.Entry = o
		}
		u.all[x.was.node] = *x
		u.names[x.was.ID]++
		u.gone[x.was.ID] = u.gone[x.was.ID] || x.how != Moved && x.how != Overwritten
		if x.was.How == Returned {
			u.freed[x.was.at()] = true
		}
		if x.how == Moved || x.how == Overwritten { // what was overwritten may have been moved just after, without a row
			if k, ok := u.r.nameOf(x.was.node); ok && k != x.was.at() {
				u.freed[k] = true
			}
		}
	}
	for i := range todo {
		todo[i].put = u.describe(todo[i])
	}
	return todo
}

// at is the name that showed the state.
func (f Former) at() nameKey { return nameKey{f.Parent, f.Name} }

// nameOf is where a node shows under a name of its own.
func (r *Replica) nameOf(node NodeID) (k nameKey, ok bool) {
	_ = r.read(func(t *tx) error {
		if n := t.node(node); !n.by.IsZero() {
			return nil // only its links show it
		}
		s, shown := t.show(node)
		if ok = shown; ok {
			k = nameKey{s.in.id, s.it.Name}
		}
		return nil
	})
	return k, ok
}

// promised reports whether only things stand in the way that the others of the plan remove.
func (u *undoer) promised(x undone) bool { return u.promisedIn(x, maxDepth) }

func (u *undoer) promisedIn(x undone, depth int) bool {
	k := x.was.at()
	if _, err := u.r.Get(k.parent); err != nil {
		p, back := u.all[k.parent]
		return back && depth > 0 && (u.one(p) == nil || u.promisedIn(p, depth-1))
	}
	_, err := u.r.Lookup(k.parent, k.name)
	return errs.Is(err, errs.NotExist) || u.freed[k]
}

func (u *undoer) describe(x undone) Put {
	p := Put{Kind: x.was.Kind, Size: x.was.Content.Size}
	p.Path = u.path(x.was.Parent, x.was.Name)
	if k, ok := u.r.nameOf(x.was.node); ok && (x.how == Moved || x.how == Overwritten) {
		now := Former{Entry: Entry{Parent: k.parent, Name: k.name}}
		if from, err := u.r.FormerPath(&now); err == nil && from != p.Path {
			p.From = from
		}
	}
	return p
}

// path is the path of a name once everything is taken back.
func (u *undoer) path(dir NodeID, name string) string {
	names := name
	for range maxDepth {
		x, ok := u.all[dir]
		if !ok {
			break
		}
		names, dir = x.was.Name+"/"+names, x.was.Parent
	}
	at := Former{Entry: Entry{Parent: dir, Name: names}}
	path, err := u.r.FormerPath(&at)
	if err != nil {
		return names
	}
	return path
}
