package fstest

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/internal/namespace"
)

func TestPastOverTheCore(t *testing.T) {
	tt, d := one(t, setup{})
	Past(tt, func(by time.Duration) time.Time {
		tt.ok(d.fs.Sync(bg))
		return d.pass(by)
	})
}

// The past shows by the same rules as the present.
func TestPastWithOtherNames(t *testing.T) {
	tt, d := one(t, setup{rules: alias.Windows})
	made := []string{"Readme", "README", "a:b", strings.Repeat("x", 255), strings.Repeat("X", 255)}
	for _, name := range made {
		_, err := d.names.Create(namespace.Root, name, namespace.Spec{Kind: namespace.Fifo})
		tt.ok(err)
	}
	now, err := tt.ReadDir("/")
	tt.ok(err)
	then := "/.shelf/history/" + d.pass(time.Hour).Format("2006-01-02T15:04:05")
	d.pass(time.Hour)
	for _, name := range now {
		tt.ok(tt.Unlink("/" + name))
	}
	d.pass(time.Hour)
	tt.lists("/")
	tt.lists(then, now...)
	for _, name := range now {
		for _, spelled := range []string{name, strings.ToLower(name)} {
			if s := tt.stat(then + "/" + spelled); !slices.Contains(made, spelled) && s.Ino != tt.stat(then+"/"+name).Ino {
				t.Errorf("%q is another than %q", spelled, name)
			}
		}
	}
	_, err = tt.Lstat(then + "/nothing")
	tt.fails(err, syscall.ENOENT)
}
