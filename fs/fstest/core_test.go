package fstest

import (
	"fmt"
	"os"
	"testing"

	"github.com/shelffs/shelf/fs"
)

func self() fs.Caller { return fs.Caller{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())} }

func TestCore(t *testing.T) {
	d := newDevice(t, setup{n: 1})
	n := 0
	Run(t, func(t *testing.T) Sys {
		n++
		dir := fmt.Sprint("/test", n)
		if err := Core(d.fs, self(), "").Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return Core(d.fs, self(), dir)
	})
}
