package daemon

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// keeps are the words of the control API.
var keeps = map[string]namespace.Keep{
	controlapi.KeepMine: namespace.KeepMine, controlapi.KeepTheirs: namespace.KeepTheirs, controlapi.KeepBoth: namespace.KeepBoth,
}

// Conflicts implements control.Resolver.
func (d *daemon) Conflicts(ctx context.Context, at string) (controlapi.Conflicts, error) {
	at = d.fs.Spell(at)
	out := controlapi.Conflicts{Path: at, Conflicts: []controlapi.NameConflict{}, Folders: []controlapi.ConflictFolder{}}
	if _, err := d.resolve(at); err != nil {
		return out, err
	}
	all, err := d.names.Clashes(ctx)
	if err != nil {
		return out, err
	}
	for _, c := range all {
		if concerns(c, at) {
			out.Conflicts = append(out.Conflicts, d.nameConflict(ctx, c))
		}
	}
	out.Folders = byFolder(out.Conflicts)
	return out, nil
}

// concerns reports whether a conflict is at or below a path: the name that is claimed, or one
// beside it.
func concerns(c namespace.Clash, at string) bool {
	full := "/" + c.Path
	if at == "/" || full == at || strings.HasPrefix(full, at+"/") {
		return true
	}
	return path.Dir(full) == path.Dir(at) && slices.ContainsFunc(c.Versions, func(v namespace.ClashVersion) bool { return v.Name == path.Base(at) })
}

// nameConflict words a conflict.
func (p *parts) nameConflict(ctx context.Context, c namespace.Clash) controlapi.NameConflict {
	out := controlapi.NameConflict{Path: "/" + c.Path, Equal: true, Mine: c.Mine}
	newest, largest := c.Versions[0].When, c.Versions[0].Size()
	for _, v := range c.Versions {
		newest, largest = max(newest, v.When), max(largest, v.Size())
	}
	for i, v := range c.Versions {
		x := controlapi.ConflictVersion{
			Path: path.Join(path.Dir(out.Path), v.Name), Kind: kindNames[v.Kind], Size: int64(v.Size()), Mtime: time.Unix(0, v.Mtime),
			Device: p.deviceName(v.By), Self: v.By == p.self(), When: v.When.Time(), Complete: true,
			Newest: v.When == newest, Largest: v.Size() == largest, Knew: indices(v.Knew), Unaware: indices(v.Ignorant),
			File: slices.IndexFunc(c.Versions[:i+1], func(o namespace.ClashVersion) bool { return fileOf(o) == fileOf(v) }),
		}
		if v.Kind == namespace.File {
			_, x.Complete, _ = p.local(ctx, v.Content)
		}
		first := c.Versions[0]
		out.Equal = out.Equal && v.Kind == first.Kind && v.Content == first.Content && v.Target == first.Target && v.Rdev == first.Rdev
		out.Versions = append(out.Versions, x)
	}
	out.Suggestion = suggest(out)
	return out
}

// fileOf is the file that a version is of: a conflict copy has no node of its own.
func fileOf(v namespace.ClashVersion) namespace.NodeID {
	if v.Conflict != nil && !v.Conflict.Of.IsZero() {
		return v.Conflict.Of
	}
	return v.ID
}

func indices(list []int) []int {
	if list == nil {
		return []int{}
	}
	return list
}

func (p *parts) deviceName(dev ident.DeviceID) controlapi.DeviceName {
	if dev.IsZero() { // a folder that is shown for what lives in it
		return controlapi.DeviceName{}
	}
	return controlapi.DeviceName{ID: dev.String(), Name: p.account.Name(dev)}
}

// byFolder counts conflicts by folder, in order of the folders' paths.
func byFolder(all []controlapi.NameConflict) []controlapi.ConflictFolder {
	at := map[string]*controlapi.ConflictFolder{}
	for _, c := range all {
		dir := path.Dir(c.Path)
		f := at[dir]
		if f == nil {
			f = &controlapi.ConflictFolder{Path: dir, Devices: []string{}, First: c.Versions[1].When, Last: c.Versions[1].When}
			at[dir] = f
		}
		f.Count++
		for _, v := range c.Versions[1:] {
			if v.When.Before(f.First) {
				f.First = v.When
			}
			if v.When.After(f.Last) {
				f.Last = v.When
			}
		}
		for _, v := range c.Versions {
			if !v.Self && !slices.Contains(f.Devices, v.Device.Name) {
				f.Devices = append(f.Devices, v.Device.Name)
			}
		}
	}
	out := []controlapi.ConflictFolder{}
	for _, f := range at {
		slices.Sort(f.Devices)
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b controlapi.ConflictFolder) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// Resolve implements control.Resolver.
func (d *daemon) Resolve(ctx context.Context, req controlapi.ResolveRequest) (controlapi.ResolveResult, error) {
	res := controlapi.ResolveResult{Items: []controlapi.ResolveItem{}}
	keep, ok := keeps[req.Keep]
	if !ok {
		return res, controlapi.E("invalid", "say mine, theirs or both", "%q is nothing that could be kept", req.Keep)
	}
	if err := d.saved(ctx); err != nil {
		return res, err
	}
	for _, p := range req.Paths {
		if err := ctx.Err(); err != nil {
			return res, err
		}
		names := []string{p}
		if req.All {
			all, err := d.Conflicts(ctx, p)
			if err != nil {
				return res, err
			}
			names = nil
			for _, c := range all.Conflicts {
				names = append(names, c.Path)
			}
		}
		for _, name := range names {
			res.Items = append(res.Items, d.resolveOne(name, keep))
		}
	}
	d.conflicts.changed()
	return res, d.names.Sync(ctx)
}

// resolveOne ends one conflict.
func (d *daemon) resolveOne(name string, keep namespace.Keep) controlapi.ResolveItem {
	name = d.fs.Spell(name)
	item := controlapi.ResolveItem{Path: name, Kept: []string{}, Dropped: []controlapi.DroppedVersion{}}
	dir, err := d.resolve(path.Dir(name))
	var s namespace.Settled
	if err == nil {
		s, err = d.names.SettleClash(dir.ID, path.Base(name), keep)
	}
	if err != nil {
		item.Refused = d.notResolved(name, err)
		return item
	}
	for _, e := range s.Kept {
		item.Kept = append(item.Kept, path.Join(path.Dir(name), e.Name))
	}
	for _, e := range s.Dropped {
		item.Dropped = append(item.Dropped, controlapi.DroppedVersion{
			Path: path.Join(path.Dir(name), e.Name), Size: int64(e.Size()), Device: d.deviceName(e.By), When: e.When.Time(),
		})
	}
	return item
}

// notResolved words why a conflict could not be ended.
func (d *daemon) notResolved(name string, err error) *controlapi.Refusal {
	r := &controlapi.Refusal{Kind: controlapi.SlugOf(errs.KindOf(err)), Reason: controlapi.Describe(err), Paths: []string{name}}
	e, missing := d.resolve(name)
	switch {
	case errs.Is(err, errs.IsDir):
		r.Reason = "a folder has this name; the file beside it can only get a name of its own: --keep both"
	case errs.Is(err, errs.Exist):
		r.Kind, r.Reason = "invalid", "several other devices have versions of it; give the path of the one that is meant, as shelf conflicts shows it"
	case !errs.Is(err, errs.NotExist):
	case missing == nil && e.Kind == namespace.Dir:
		r.Reason = "no other version claims the name of this folder; for the conflicts in it: --all"
	case missing == nil:
		r.Reason = "there is no conflict about it (any more)"
	case namespace.DerivedName(path.Base(name)):
		r.Reason = "it is not there; if it was the copy of a conflict, that has been resolved already, here or on another device"
	default:
		r.Reason = "does not exist"
	}
	return r
}
