package fstest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"

	"github.com/shelffs/shelf/fs/alias"
)

func TestMount(t *testing.T) { Run(t, overAMount(mounted(t))) }

func TestMountWithOtherNames(t *testing.T) {
	for _, r := range []alias.Rules{alias.Windows, alias.Mac} {
		t.Run(r.String(), func(t *testing.T) {
			RunSpelled(t, r, false, overAMount(mountedWith(t, t.TempDir(), r)))
		})
	}
}

// overAMount makes directories of a mount the roots of tests.
func overAMount(c *child) func(t *testing.T) Sys {
	n := 0
	return func(t *testing.T) Sys {
		n++
		dir := filepath.Join(c.mnt, fmt.Sprint("test", n))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return OS(dir)
	}
}

// As TestListingBegunAnew, with what the kernel keeps of listings.
func TestMountListsAnew(t *testing.T) {
	c := mounted(t)
	tt := &T{T: t, Sys: OS(c.mnt)}
	tt.ok(tt.Mkdir("/d", 0o755))
	tt.write("/d/a", "x")
	dir, err := os.Open(filepath.Join(c.mnt, "d"))
	tt.ok(err)
	defer dir.Close()
	for i := range 10 {
		names, err := dir.Readdirnames(-1)
		tt.ok(err)
		if len(names) != i+1 {
			t.Fatal(names)
		}
		tt.write(fmt.Sprint("/d/", i), "x")
		_, err = dir.Seek(0, io.SeekStart)
		tt.ok(err)
	}
}

// TestPosix runs the library's own suite, whole. FcntlFlockLocksFile alone is left out, as
// in the library's own TestAll: it wants two locks of one process to conflict, which POSIX
// forbids and no filesystem of Linux does.
func TestPosix(t *testing.T) {
	c := mounted(t)
	var names []string
	for name := range posixtest.All {
		if name == "FcntlFlockLocksFile" {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(c.mnt, name)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			posixtest.All[name](t, dir)
			if t.Skipped() {
				t.Fatal("skipped")
			}
		})
	}
}
