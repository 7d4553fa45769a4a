package daemon

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

func TestSuggestion(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	version := func(device string, days int, size int64) controlapi.ConflictVersion {
		return controlapi.ConflictVersion{Kind: controlapi.KindFile, Device: controlapi.DeviceName{Name: device}, When: now.AddDate(0, 0, days), Size: size}
	}
	for name, c := range map[string]struct {
		change func(c *controlapi.NameConflict)
		keep   string
		says   string
	}{
		"nothing known":      {func(*controlapi.NameConflict) {}, "both", "compare"},
		"a long time apart":  {func(c *controlapi.NameConflict) { c.Versions[1].When = now.AddDate(0, 0, -12) }, "both", "laptop is 12 days older"},
		"mine is empty":      {func(c *controlapi.NameConflict) { c.Versions[0].Size = 0 }, "theirs", "the other one is empty"},
		"theirs is empty":    {func(c *controlapi.NameConflict) { c.Versions[1].Size = 0 }, "mine", "the other one is empty"},
		"mine knew":          {func(c *controlapi.NameConflict) { c.Versions[0].Knew = []int{1} }, "mine", "desktop had both"},
		"theirs knew":        {func(c *controlapi.NameConflict) { c.Versions[1].Knew = []int{0} }, "theirs", "laptop had both"},
		"mine is the copy":   {func(c *controlapi.NameConflict) { c.Mine, c.Versions[0].Size = 1, 0 }, "mine", "the other one is empty"},
		"a folder":           {func(c *controlapi.NameConflict) { c.Versions[0].Kind = controlapi.KindDir }, "both", "folder"},
		"kinds":              {func(c *controlapi.NameConflict) { c.Versions[1].Kind = controlapi.KindSymlink }, "both", "symlink"},
		"equal":              {func(c *controlapi.NameConflict) { c.Equal = true }, "mine", "same bytes"},
		"three, one of them": {func(c *controlapi.NameConflict) { c.Versions = append(c.Versions, version("nas", 0, 0)) }, "both", "3 versions"},
	} {
		x := controlapi.NameConflict{Versions: []controlapi.ConflictVersion{version("desktop", 0, 10), version("laptop", 0, 20)}}
		c.change(&x)
		if s := suggest(x); s.Keep != c.keep || !strings.Contains(s.Reason, c.says) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestConflictsByFolder(t *testing.T) {
	var all []controlapi.NameConflict
	for i := range 14 {
		when := time.Date(2026, 11, 20, i, 0, 0, 0, time.UTC)
		all = append(all, controlapi.NameConflict{Path: fmt.Sprintf("/photos/%d", i), Versions: []controlapi.ConflictVersion{
			{Device: controlapi.DeviceName{Name: "desktop"}, Self: true}, {Device: controlapi.DeviceName{Name: []string{"nas", "laptop"}[i%2]}, When: when}}})
	}
	all = append(all, controlapi.NameConflict{Path: "/x", Versions: all[0].Versions})
	fs := byFolder(all)
	if len(fs) != 2 || fs[0].Path != "/" || fs[0].Count != 1 || fs[1].Count != 14 || fmt.Sprint(fs[1].Devices) != "[laptop nas]" ||
		fs[1].First.Hour() != 0 || fs[1].Last.Hour() != 13 {
		t.Errorf("%+v", fs)
	}
}

// Many folders make one notice, about what they have in common.
func TestNoticesAreFolded(t *testing.T) {
	d := mustOpen(t, home(t), &lonely{})
	defer d.Close()
	other := ident.DeviceID{1}
	made := func(folders, each int) (out []namespace.Clash) {
		for i := range folders {
			for j := range each {
				out = append(out, namespace.Clash{Path: fmt.Sprintf("photos/%d/%d", i, j), Versions: []namespace.ClashVersion{
					{Entry: namespace.Entry{Name: "a"}, By: d.self()}, {Entry: namespace.Entry{Name: "b"}, By: other}}})
			}
		}
		return out
	}
	got := d.notices(t.Context(), made(conflictNotices, 100))
	if len(got) != conflictNotices || got[0].Folder != "/photos/0" || got[0].Count != 100 || len(got[0].Conflicts) != conflictNamed ||
		got[0].Summary != "100 conflicts in /photos/0, from "+d.account.Name(other) {
		t.Errorf("%d notices, %+v", len(got), got[0].Summary)
	}
	if got = d.notices(t.Context(), made(conflictNotices+1, 2)); len(got) != 1 || got[0].Folder != "/photos" || got[0].Count != 2*conflictNotices+2 {
		t.Errorf("%d notices, %+v", len(got), got[0].Summary)
	}
	if n := commonFolder([]namespace.Clash{{Path: "a/b/c"}, {Path: "a/bb/c"}}); n != "/a" {
		t.Errorf("common folder %s", n)
	}
	if n := commonFolder([]namespace.Clash{{Path: "a/b/c"}, {Path: "x"}}); n != "/" {
		t.Errorf("common folder %s", n)
	}
}

func TestConflictEventIsOneLine(t *testing.T) {
	b, err := json.Marshal(controlapi.ConflictEvent{Event: "conflict", Folder: "/a\nb"})
	if err != nil || strings.Contains(string(b), "\n") {
		t.Errorf("%s %v", b, err)
	}
}
