package cli

import (
	"context"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// fakePast is what the fake daemon's paths were.
func fakePast(path string) []controlapi.Version {
	at := func(d time.Duration) *time.Time { return new(fakeNow.Add(d)) }
	v := controlapi.Version{ID: "3f2a91c4", Path: path, Kind: "file", Size: 2048, Mtime: fakeNow, Writer: "laptop", From: at(-2 * time.Hour),
		Until: at(-time.Hour), Ended: controlapi.EndedOverwritten, By: "desktop", LocalBytes: 1024}
	now := controlapi.Version{Path: path, Kind: "file", Size: 10, Mtime: fakeNow, Writer: "desktop", From: at(-time.Hour), LocalBytes: 10, Complete: true}
	gone := controlapi.Version{ID: "00c0ffee", Path: path, Kind: "dir", Mtime: fakeNow, From: at(-3 * time.Hour), Until: at(0), Ended: controlapi.EndedRemoved, By: "laptop", Complete: true}
	old := controlapi.Version{ID: "0badcafe", Path: "/draft", Kind: "file", Size: 1, Mtime: fakeNow, Until: at(-2 * time.Hour), Ended: controlapi.EndedMoved, Complete: true, LocalBytes: 1}
	return map[string][]controlapi.Version{"/only-here": {now, v, old}, "/me@home": {now, v}, "/gone": {gone}}[path]
}

func (d *fakeDaemon) Versions(_ context.Context, path string) (controlapi.Versions, error) {
	vs := fakePast(path)
	if vs == nil {
		return controlapi.Versions{}, errs.E("fake", errs.NotExist, path, nil)
	}
	return controlapi.Versions{Path: path, Versions: vs}, nil
}

func (d *fakeDaemon) Removed(_ context.Context, path string) (controlapi.Versions, error) {
	if path != "/" {
		return controlapi.Versions{Path: path, Versions: []controlapi.Version{}}, nil
	}
	return controlapi.Versions{Path: path, Versions: fakePast("/gone")}, nil
}

func (d *fakeDaemon) Restore(_ context.Context, q controlapi.RestoreRequest, _ func(controlapi.RestoredItem)) (controlapi.Restored, error) {
	to := q.To
	if to == "" {
		to = q.Path
	}
	switch vs := fakePast(q.Path); {
	case vs == nil:
		return controlapi.Restored{}, errs.E("fake", errs.NotExist, q.Path, nil)
	case q.Version != "" && q.Version != "3f2a" && q.Version != "2026-03-01":
		return controlapi.Restored{}, controlapi.E("invalid", "see: shelf versions "+q.Path, "%s is no version", q.Version)
	case vs[0].Kind == "dir":
		return controlapi.Restored{Files: 1, Size: 5, Items: []controlapi.RestoredItem{{Path: to, Kind: "dir"}, {Path: to + "/x", Kind: "file", Size: 5},
			{Path: to + "/y", Kind: "file", Refused: &controlapi.Refusal{Kind: "offline", Reason: "nobody has it", Paths: []string{to + "/y"}}}}}, nil
	}
	return controlapi.Restored{Files: 1, Size: 2048, Items: []controlapi.RestoredItem{{Path: to, Kind: "file", Size: 2048}}}, nil
}

func (d *fakeDaemon) Undo(_ context.Context, q controlapi.UndoRequest, _ func(controlapi.RestoredItem)) (controlapi.Restored, error) {
	if !q.Burst {
		return controlapi.Restored{}, controlapi.E("not_exist", "", "there is nothing to undo")
	}
	return controlapi.Restored{Files: 1, Size: 5, Items: []controlapi.RestoredItem{{Path: "/a", From: "/b", Kind: "file", Size: 5},
		{Path: "/c", Kind: "file", Refused: &controlapi.Refusal{Kind: "stale", Reason: "it has been changed since", Paths: []string{"/c"}}}}}, nil
}
