package daemon

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

var endings = map[namespace.How]string{
	namespace.Overwritten: controlapi.EndedOverwritten, namespace.Removed: controlapi.EndedRemoved, namespace.Replaced: controlapi.EndedReplaced,
	namespace.Moved: controlapi.EndedMoved, namespace.Decided: controlapi.EndedDecided,
}

// known finds what a path shows and showed.
func (d *daemon) known(path string) (*namespace.Entry, []namespace.Former, error) {
	now, past, err := d.names.Versions(path)
	if errs.Is(err, errs.NotExist) {
		return nil, nil, controlapi.WithHint(errs.E("daemon.known", errs.NotExist, path, nil), "what was removed from a folder: shelf ls --removed FOLDER")
	}
	if err != nil {
		return nil, nil, errs.E("daemon.known", errs.KindOf(err), path, nil)
	}
	return now, past, nil
}

// Versions implements control.Historian.
func (d *daemon) Versions(ctx context.Context, path string) (controlapi.Versions, error) {
	path = d.fs.Spell(path)
	out := controlapi.Versions{Path: path, Versions: []controlapi.Version{}}
	now, past, err := d.known(path)
	if err != nil {
		return out, err
	}
	if now != nil {
		v := d.version(ctx, *now)
		v.Path = path
		if len(past) > 0 && past[0].Name == now.Name && past[0].Parent == now.Parent {
			v.From = moment(past[0].Until())
		} else {
			v.From = moment(now.Stamp.Nanos())
		}
		out.Versions = append(out.Versions, v)
	}
	for i := range past {
		out.Versions = append(out.Versions, d.former(ctx, &past[i], d.names.PathThen))
	}
	return out, nil
}

// Removed implements control.Historian.
func (d *daemon) Removed(ctx context.Context, path string) (controlapi.Versions, error) {
	path = d.fs.Spell(path)
	out := controlapi.Versions{Path: path, Versions: []controlapi.Version{}}
	now, past, err := d.known(path)
	if err != nil {
		return out, err
	}
	dir := namespace.NodeID{}
	switch {
	case now != nil:
		dir = now.ID
	default:
		dir = past[0].ID
	}
	if !dir.IsDir() {
		return out, errs.E("daemon.Removed", errs.NotDir, path, nil)
	}
	gone, err := d.names.Removed(dir)
	for i := range gone {
		out.Versions = append(out.Versions, d.former(ctx, &gone[i], d.names.FormerPath))
	}
	return out, err
}

// version describes a state; which one is the caller's to say.
func (d *daemon) version(ctx context.Context, e namespace.Entry) controlapi.Version {
	v := controlapi.Version{Kind: kindNames[e.Kind], Size: int64(e.Size()), Mtime: time.Unix(0, e.Mtime), Target: e.Target, Writer: d.nameOf(e.Writer), Complete: true}
	if e.Kind == namespace.File {
		v.LocalBytes, v.Complete, _ = d.local(ctx, e.Content)
	}
	return v
}

func (d *daemon) former(ctx context.Context, f *namespace.Former, pathOf func(*namespace.Former) (string, error)) controlapi.Version {
	v := d.version(ctx, f.Entry)
	v.ID, v.From, v.Until, v.Ended, v.By = f.Key.String(), moment(f.From), moment(f.Until()), endings[f.How], d.nameOf(f.By)
	if path, err := pathOf(f); err == nil {
		v.Path = "/" + path
	}
	return v
}

func moment(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := time.Unix(0, ns)
	return &t
}

// nameOf is a device's name, "" for none.
func (d *daemon) nameOf(dev ident.DeviceID) string {
	if dev.IsZero() {
		return ""
	}
	return d.account.Name(dev)
}

// pick finds the version that a request means, to be put in its place, or elsewhere.
func (d *daemon) pick(path, version string, elsewhere bool) (f namespace.Former, err error) {
	now, past, err := d.known(path)
	if err != nil {
		return f, err
	}
	hint := "see: shelf versions " + path
	none := func(format string, args ...any) error {
		return controlapi.E(controlapi.SlugOf(errs.NotExist), hint, format, args...)
	}
	if version == "" {
		for _, f := range past {
			switch {
			case now == nil,
				f.Kind == namespace.File && now.Kind == namespace.File && f.Content != now.Content,
				f.Kind == namespace.Dir && now.Kind == namespace.Dir && f.How == namespace.Removed, // what is missing comes back
				f.Kind != now.Kind && elsewhere:
				return f, nil
			case f.Kind != now.Kind:
				return f, controlapi.E(controlapi.SlugOf(errs.Exist), "to another place: shelf restore "+path+"@"+f.Key.String()+" --to OTHER", "%s is something else now", path)
			}
		}
		return f, none("%s has no older version on this device", path)
	}
	var found []namespace.Former
	for _, f := range past {
		if len(version) >= 4 && strings.HasPrefix(f.Key.String(), version) {
			found = append(found, f)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return f, controlapi.E(controlapi.SlugOf(errs.Invalid), hint, "several versions of %s begin with %s", path, version)
	}
	present := time.Now()
	at, ok := controlapi.VersionTime(version, present)
	switch {
	case !ok:
		return f, controlapi.E(controlapi.SlugOf(errs.Invalid), hint, "%s is neither a version of %s nor a time", version, path)
	case at.After(present):
		return f, controlapi.E(controlapi.SlugOf(errs.Invalid), hint, "%s is yet to come", at.Format(time.DateTime))
	}
	if f, ok = asOf(now, past, path, at.UnixNano()); !ok {
		return f, none("this device does not know what %s was at %s", path, at.Format(time.DateTime))
	}
	return f, nil
}

// asOf is what a path showed at a moment; a folder with what was in it then.
func asOf(now *namespace.Entry, past []namespace.Former, path string, at int64) (f namespace.Former, ok bool) {
	name := path[strings.LastIndexByte(path, '/')+1:]
	for _, g := range past { // newest first: the last that fits ended soonest after at
		if g.Name == name && g.Until() > at {
			f, ok = g, g.From <= at
		}
	}
	if f.ID.IsZero() && now != nil {
		f, ok = namespace.Former{Entry: *now, How: namespace.Moved}, now.Stamp.Nanos() <= at
	}
	if f.Kind == namespace.Dir {
		f.How, f.Key.Until = namespace.Moved, uint64(at)+1
	}
	return f, ok
}

// Restore implements control.Historian.
func (d *daemon) Restore(ctx context.Context, req controlapi.RestoreRequest, progress func(controlapi.RestoredItem)) (controlapi.Restored, error) {
	out := controlapi.Restored{Items: []controlapi.RestoredItem{}}
	if err := d.saved(ctx); err != nil {
		return out, err
	}
	req.Path, req.To = d.fs.Spell(req.Path), d.fs.Spell(req.To)
	f, err := d.pick(req.Path, req.Version, req.To != "" && req.To != req.Path)
	if err != nil {
		return out, err
	}
	to, told := req.Path, d.told(&out, progress, req.To == "" || req.To == req.Path)
	if req.To != "" && req.To != req.Path {
		to = req.To
		switch err := d.elsewhere(f, to); {
		case errs.Is(err, errs.Exist):
			told(namespace.Put{Path: strings.TrimPrefix(to, "/"), Kind: f.Kind, Size: f.Size(), Err: err})
			return out, nil
		case err != nil:
			return out, err
		}
	}
	if err = d.names.Restore(ctx, f, to, d.bring, told); errs.Is(err, errs.NotDir) && len(out.Items) == 0 {
		err = controlapi.E(controlapi.SlugOf(errs.NotDir), "choose another place: --to OTHER", "a part of %s is not a folder", path.Dir(to))
	}
	return d.done(ctx, out, err)
}

// elsewhere reports whether an old state may show under a path that was named for it. A path brings
// its own file's contents back over what it has now; another's is left alone (Exist). Invalid: a
// folder made there would hide the past that the mount shows.
func (d *daemon) elsewhere(f namespace.Former, to string) error {
	if first, _, _ := strings.Cut(strings.TrimPrefix(to, "/"), "/"); first == fs.ShelfDir {
		if _, err := d.resolve("/" + first); errs.Is(err, errs.NotExist) {
			return controlapi.E(controlapi.SlugOf(errs.Invalid), "choose another place, as: --to /restored", "the past shows in /%s; nothing can be put there", first)
		}
	}
	now, err := d.resolve(to)
	if err != nil || now.ID == f.ID || now.Kind != namespace.File || f.Kind != namespace.File || now.Content == f.Content {
		return nil // what else is in the way, the namespace tells
	}
	return errs.E("daemon.elsewhere", errs.Exist, to, nil)
}

// Undo implements control.Historian.
func (d *daemon) Undo(ctx context.Context, req controlapi.UndoRequest, progress func(controlapi.RestoredItem)) (controlapi.Restored, error) {
	out := controlapi.Restored{Items: []controlapi.RestoredItem{}}
	if err := d.saved(ctx); err != nil {
		return out, err
	}
	ended, err := d.names.LastChange(req.Burst)
	if err != nil {
		switch {
		case errs.Is(err, errs.NotExist):
			err = controlapi.E(controlapi.SlugOf(errs.NotExist), "", "this device has changed nothing that could be undone")
		case errs.Is(err, errs.Exist):
			err = controlapi.E(controlapi.SlugOf(errs.Exist), "remove the one that you do not want; what was before that: shelf undo --burst",
				"the last change kept both versions of a conflict: nothing was lost by it, and there is nothing to take back")
		}
		return out, err
	}
	if out.More, err = d.names.Earlier(ended); err != nil {
		return out, err
	}
	err = d.names.Undo(ctx, ended, req.DryRun, d.bring, d.told(&out, progress, true))
	return d.done(ctx, out, err)
}

// done makes what was done durable. What went wrong with single paths is in their items.
func (d *daemon) done(ctx context.Context, out controlapi.Restored, err error) (controlapi.Restored, error) {
	if serr := d.names.Sync(context.WithoutCancel(ctx)); serr != nil {
		return out, serr
	}
	for _, it := range out.Items {
		if it.Refused != nil && !errs.Is(err, errs.Interrupted) {
			return out, nil
		}
	}
	return out, err
}

// told collects what became of each path. own: each is that of the old state itself.
func (d *daemon) told(out *controlapi.Restored, progress func(controlapi.RestoredItem), own bool) func(namespace.Put) {
	return func(p namespace.Put) {
		it := controlapi.RestoredItem{Path: "/" + p.Path, Kind: kindNames[p.Kind], Size: int64(p.Size)}
		if p.From != "" {
			it.From = "/" + p.From
		}
		switch {
		case p.Err != nil:
			it.Refused = d.notRestored(it.Path, p, own)
		case p.Kind != namespace.Dir:
			out.Files++
			out.Size += it.Size
		}
		out.Items = append(out.Items, it)
		progress(it)
	}
}

// notRestored words why a path was left alone.
func (d *daemon) notRestored(path string, p namespace.Put, own bool) *controlapi.Refusal {
	kind := errs.KindOf(p.Err)
	r := &controlapi.Refusal{Kind: controlapi.SlugOf(kind), Reason: controlapi.Describe(p.Err), Paths: []string{path}}
	switch kind {
	case errs.Exist:
		r.Reason = "something else is there now; to another place: shelf restore PATH --to OTHER"
		if now, err := d.resolve(path); own && err == nil && now.Kind == namespace.File && p.Kind == namespace.File {
			r.Reason = "another file is there now; in its place: shelf restore PATH, or to another: --to OTHER"
		}
	case errs.Stale:
		r.Reason = "it has been changed since; what it was: shelf versions PATH"
	case errs.NotExist:
		if p.Kind == namespace.File {
			r.Reason = "its folder, or its old contents, are not there any more"
		} else {
			r.Reason = "its folder is not there any more"
		}
	case errs.Offline:
		r.Reason = "its old contents are not on this device, and no connected device has them"
	case errs.NoSpace:
		r.Reason = noRoom(p.Err)
	}
	return r
}
