package sim

import (
	"context"
	"path"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// settle ends a conflict by the name that is claimed, or by that of one beside it.
func (a *action) settle() {
	dir, name, ok := a.into(a.s.arg(0))
	if !ok {
		return
	}
	keep := map[string]namespace.Keep{"mine": namespace.KeepMine, "theirs": namespace.KeepTheirs, "both": namespace.KeepBoth}[a.s.arg(1)]
	all, err := a.names.Clashes(context.Background())
	a.ok(err)
	for _, c := range all {
		i := slices.IndexFunc(c.Versions, func(v namespace.ClashVersion) bool { return v.Name == name })
		if c.Dir != dir.ID || i < 0 {
			continue
		}
		for j, v := range c.Versions {
			if i == 0 || j == 0 || i == j {
				a.target(v.ID)
			}
		}
	}
	got, err := a.names.SettleClash(dir.ID, name, keep)
	if !a.may(err, errs.NotExist, errs.IsDir, errs.Exist) {
		return
	}
	for _, k := range got.Kept {
		if k.Conflict != nil {
			a.w.fail("a settled conflict is none", "%+v", k)
		}
		if k.Kind != namespace.Dir {
			a.shows(dir.ID, k.Name, k.ID, contentOf(&k))
		}
	}
	for _, d := range got.Dropped {
		if h, err := a.names.Get(d.ID); err != nil || h.Content != d.Content || h.Target != d.Target { // no other name is left
			a.w.oracle.removed(a.device, &d.Entry)
		}
		if h, err := a.names.Lookup(dir.ID, d.Name); err == nil && h.Name != got.Kept[0].Name {
			a.w.fail("read your writes", "dropped, and %+v is there", h)
		}
	}
}

// checkClashes: the conflicts that are listed are those that show.
func (d *device) checkClashes(v *view) {
	all, err := d.names.Clashes(context.Background())
	if err != nil {
		d.w.fail("conflicts are listed", "%v", err)
	}
	listed := map[string]bool{}
	for _, c := range all {
		for _, x := range c.Versions[1:] {
			listed[path.Join(path.Dir(c.Path), x.Name)] = true
		}
	}
	shown := 0
	for i := range v.items {
		if x := &v.items[i]; x.Conflict != nil {
			if shown++; !listed[x.path] {
				d.w.fail("conflicts are listed", "%q is not", x.path)
			}
		}
	}
	if shown != len(listed) {
		d.w.fail("conflicts are listed", "%d are shown, and listed are %v", shown, listed)
	}
}
