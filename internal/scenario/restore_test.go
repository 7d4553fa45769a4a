package scenario

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

func (d *memoryDevice) restore(path, version, to string) (controlapi.Restored, error) {
	return d.dev.Restore(context.Background(), controlapi.RestoreRequest{Path: path, Version: version, To: to}, func(controlapi.RestoredItem) {})
}

// What is named for an old state of a file is made or left alone: no other file loses what it has, and
// nothing hides the past. A time that is yet to come names nothing.
func TestRestoreElsewhere(t *testing.T) {
	d := newMemoryDevice(t, newMemory(), "a")
	d.create()
	put(t, d, "/f", "old")
	put(t, d, "/other", "mine")
	put(t, d, "/like", "old")
	time.Sleep(2200 * time.Millisecond) // what was there for less leaves no state
	put(t, d, "/f", "newer")
	reads := func(want ...string) {
		t.Helper()
		got := tree(d, "/") + "\n"
		for _, w := range want {
			if !strings.Contains(got, w+"\n") {
				t.Errorf("no %s in\n%s", w, got)
			}
		}
	}

	res, err := d.restore("/f", "", "/other")
	if err != nil || len(res.Items) != 1 || res.Files != 0 || res.Items[0].Path != "/other" || res.Items[0].Refused == nil || res.Items[0].Refused.Kind != "exist" {
		t.Errorf("over another file: %+v, %v", res, err)
	}
	reads("/other=mine", "/f=newer")
	for to, files := range map[string]int64{"/like": 0, "/new/place": 1} { // the same bytes are there; nothing
		if res, err := d.restore("/f", "", to); err != nil || res.Files != files || len(res.Items) > 0 && res.Items[0].Refused != nil {
			t.Errorf("to %s: %+v, %v", to, res, err)
		}
	}
	reads("/like=old", "/new/place=old")

	if _, err := d.restore("/f", time.Now().Add(time.Hour).Format(time.RFC3339), ""); !errs.Is(err, errs.Invalid) {
		t.Errorf("as of a time to come: %v", err)
	}
	for _, to := range []string{"/.shelf", "/.shelf/history/x"} {
		if _, err := d.restore("/f", "", to); !errs.Is(err, errs.Invalid) {
			t.Errorf("to %s: %v", to, err)
		}
	}
	if _, err := d.sys().ReadDir("/.shelf/history"); err != nil {
		t.Errorf("the past is hidden: %v", err)
	}

	// Its own file, also under the name it has now, gets the old contents over its own.
	if err := d.sys().Rename("/f", "/g", 0); err != nil {
		t.Fatal(err)
	}
	v, err := d.dev.Versions(context.Background(), "/g")
	if err != nil || len(v.Versions) < 2 {
		t.Fatalf("%+v %v", v, err)
	}
	old := v.Versions[len(v.Versions)-1]
	if res, err := d.restore("/f", old.ID, "/g"); err != nil || res.Files != 1 || res.Items[0].Refused != nil {
		t.Errorf("%s over its own file: %+v, %v", old.ID, res, err)
	}
	reads("/g=old")
}
