package cli

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// What begins with "/" and is not in the mount counts from the root of the share. A person may have
// meant a file of this computer; what is said here is for where only that makes sense.

// onDisk reports whether a path that was taken to be the share's is one of this computer, too.
func onDisk(arg, mount string) bool {
	if !strings.HasPrefix(arg, "/") {
		return false
	}
	if _, in, err := inMount(arg, mount); in || err != nil {
		return false
	}
	_, err := os.Lstat(arg)
	return err == nil
}

// astray adds to an error about a path that the share does not have what else may have been meant:
// it is one of this computer, outside of the mount.
func (a *app) astray(err error, args []string, mount string) error {
	if !errs.Is(err, errs.NotExist) && !errs.Is(err, errs.NotDir) {
		return err
	}
	i := slices.IndexFunc(args, func(arg string) bool { return onDisk(arg, mount) || onDisk(withoutVersion(arg), mount) })
	if i < 0 {
		return err
	}
	hint := args[i] + " of this computer is not in the mount, " + mount + ": a path outside of it counts from the root of the share"
	if mount == "" {
		hint = "nothing is mounted: " + args[i] + " counts from the root of the share"
	}
	var q quiet
	if errors.As(err, &q) { // told already
		if !a.json {
			a.note("  %s", safe(hint))
		}
		return err
	}
	if h := controlapi.FromError(err).Hint; h != "" {
		hint = h + "\n" + hint
	}
	return controlapi.WithHint(err, hint)
}

// destination is sharePath for a path that need not be there yet. The folders on the way to it are
// made, so one outside of the mount means the share only as far as the share knows those folders no
// worse than this computer does.
func destination(ctx context.Context, c *client.Client, arg, mount string) (string, error) {
	p, err := sharePath(arg, mount)
	if err != nil || mount == "" {
		return p, err
	}
	if _, in, err := inMount(arg, mount); in || err != nil {
		return p, err
	}
	at := path.Dir(p)
	if at == "/" {
		at = p
	}
	for ; at != "/"; at = path.Dir(at) {
		_, err := c.Versions(ctx, at)
		if err == nil {
			break
		}
		if !errs.Is(err, errs.NotExist) && !errs.Is(err, errs.NotDir) {
			return "", err
		}
		if onDisk(at, mount) {
			return "", usage("the mount is "+mount+"; if a new "+at+" of the share is meant: "+filepath.Join(mount, filepath.FromSlash(p)),
				"%s is not in the mount", arg)
		}
	}
	return p, nil
}
