package cli

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// fakeConflicts are those of every fake account that fakeWants("conflicts").
func (d *fakeDaemon) fakeConflicts() []controlapi.NameConflict {
	if !fakeWants("conflicts") {
		return nil
	}
	version := func(p, device string, self bool, hour int, size int64) controlapi.ConflictVersion {
		return controlapi.ConflictVersion{Path: p, Kind: "file", Size: size, Mtime: fakeNow, Device: controlapi.DeviceName{ID: "id-" + device, Name: device},
			Self: self, When: fakeNow.Add(time.Duration(hour) * time.Hour), Complete: self, Knew: []int{}, Unaware: []int{}}
	}
	pair := func(p string) controlapi.NameConflict {
		dir, name, ext := path.Dir(p), strings.TrimSuffix(path.Base(p), path.Ext(p)), path.Ext(p)
		c := controlapi.NameConflict{Path: p, Versions: []controlapi.ConflictVersion{
			version(p, "phone", true, 1, 5000), version(path.Join(dir, name+" (conflict from laptop 2026-03-01)"+ext), "laptop", false, 0, 4000),
		}, Suggestion: controlapi.Suggestion{Keep: "both", Reason: "they were written apart: compare them"}}
		c.Versions[0].Newest, c.Versions[0].Largest = true, true
		c.Versions[1].Unaware = []int{0}
		return c
	}
	all := []controlapi.NameConflict{pair("/docs/a b.txt"), pair("/docs/plan.txt")}
	all[1].Versions[0].Knew = []int{1}
	all[1].Suggestion = controlapi.Suggestion{Keep: "mine", Reason: "phone had both before it when it wrote this one"}
	for i := range 14 {
		all = append(all, pair(fmt.Sprintf("/photos/2024/%02d.jpg", i)))
	}
	return all
}

func (d *fakeDaemon) Conflicts(_ context.Context, p string) (controlapi.Conflicts, error) {
	out := controlapi.Conflicts{Path: p}
	if p == "/nothing" {
		return out, errs.E("fake", errs.NotExist, p, nil)
	}
	for _, c := range d.fakeConflicts() {
		if p != "/" && c.Path != p && !strings.HasPrefix(c.Path, p+"/") {
			continue
		}
		out.Conflicts = append(out.Conflicts, c)
		if n := len(out.Folders); n == 0 || out.Folders[n-1].Path != path.Dir(c.Path) {
			out.Folders = append(out.Folders, controlapi.ConflictFolder{Path: path.Dir(c.Path), Devices: []string{"laptop"}, First: fakeNow, Last: fakeNow})
		}
		out.Folders[len(out.Folders)-1].Count++
	}
	return out, nil
}

func (d *fakeDaemon) Resolve(ctx context.Context, q controlapi.ResolveRequest) (r controlapi.ResolveResult, err error) {
	for _, p := range q.Paths {
		all, _ := d.Conflicts(ctx, p)
		for _, c := range all.Conflicts {
			if !q.All && c.Path != p {
				continue
			}
			it := controlapi.ResolveItem{Path: c.Path, Kept: []string{c.Path}, Dropped: []controlapi.DroppedVersion{}}
			gone := c.Versions[1]
			switch q.Keep {
			case "both":
				it.Kept = append(it.Kept, gone.Path)
			case "theirs":
				gone = c.Versions[0]
				fallthrough
			default:
				it.Dropped = append(it.Dropped, controlapi.DroppedVersion{Path: gone.Path, Size: gone.Size, Device: gone.Device, When: gone.When})
			}
			r.Items = append(r.Items, it)
		}
		if !q.All && len(all.Conflicts) != 1 {
			r.Items = append(r.Items, controlapi.ResolveItem{Path: p, Kept: []string{}, Dropped: []controlapi.DroppedVersion{},
				Refused: &controlapi.Refusal{Kind: "not_exist", Reason: "there is no conflict about it (any more)", Paths: []string{p}}})
		}
	}
	return r, nil
}
