//go:build cgofuse

package fstest

import (
	"context"
	"testing"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/fs/winfs"
)

func mountVolume(ctx context.Context, dir string, core *fs.FS) (unmounter, error) {
	return winfs.Mount(ctx, dir, core, winfs.Options{})
}

// cgofuseExceptions are the tests that libfuse 2 cannot pass, which knows paths and no inodes.
var cgofuseExceptions = map[string]string{
	"UnlinkWhileOpen":          "a file without a name has no path to ask by",
	"UnlinkWhileOpenBig":       "a file without a name has no path to ask by",
	"RemovedFileHasAttributes": "a file without a name has no path to ask by",
	"RemovedDirHasAttributes":  "a directory without a name has no path to ask by",
	"RenameOverFile":           "a file without a name has no path to ask by",
	"HardLinkOpen":             "a file without a name has no path to ask by",
	"RenameNoReplace":          "a rename has no flags",
	"RenameExchange":           "a rename has no flags",
	"SeekDataHole":             "no request",
	"Allocate":                 "no request",
	"PunchHole":                "no request",
	"Model":                    "no holes",
	"BlocksOfHoles":            "no holes",
}

// TestCgofuse runs the suite over the adapter for Windows, mounted here through libfuse.
func TestCgofuse(t *testing.T) {
	c := mountedWith(t, t.TempDir(), alias.Exact, adapterEnv+"=cgofuse")
	RunExcept(t, overAMount(c), cgofuseExceptions)
}

// TestCgofuseLinksAreCountedOnce: libfuse has an inode for each path, and nothing to count.
func TestCgofuseLinksAreCountedOnce(t *testing.T) {
	linksAreCountedOnce(t, mountedWith(t, t.TempDir(), alias.Exact, adapterEnv+"=cgofuse").mnt)
}
