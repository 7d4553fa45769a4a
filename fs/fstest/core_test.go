package fstest

import (
	"fmt"
	"os"
	"testing"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/alias"
)

func self() fs.Caller { return fs.Caller{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())} }

func TestCore(t *testing.T) { Run(t, overTheCore(t, alias.Exact)) }

func TestCoreWithOtherNames(t *testing.T) {
	for _, r := range []alias.Rules{alias.Windows, alias.Mac} {
		t.Run(r.String(), func(t *testing.T) { RunSpelled(t, r, true, overTheCore(t, r)) })
	}
}

// overTheCore makes directories of one device the roots of tests.
func overTheCore(t *testing.T, r alias.Rules) func(t *testing.T) Sys {
	d := newDevice(t, setup{n: 1, rules: r})
	n := 0
	return func(t *testing.T) Sys {
		n++
		dir := fmt.Sprint("/test", n)
		if err := Core(d.fs, self(), "").Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return Core(d.fs, self(), dir)
	}
}
