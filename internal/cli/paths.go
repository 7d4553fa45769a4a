package cli

import (
	"path"
	"path/filepath"
	"strings"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// sharePath turns what a person types into a path from the root of the share. A path inside
// the mount, absolute or relative to the working folder, is one; anything else that begins
// with "/" is taken to be one already.
func sharePath(arg, mount string) (string, error) {
	if arg == "" {
		return "", usage("", "a path is empty")
	}
	p, in, err := inMount(arg, mount)
	if err != nil || in {
		return p, err
	}
	if strings.HasPrefix(arg, "/") {
		return path.Clean(arg), nil
	}
	if mount == "" {
		return "", usage("nothing is mounted; give the path from the root of the share, as /"+filepath.ToSlash(arg),
			"%s is not in the mount", arg)
	}
	return "", usage("the mount is "+mount+"; a path from its root begins with /", "%s is not in the mount", arg)
}

// inMount gives the path of the share for a path of this computer, if that is in the mount.
func inMount(arg, mount string) (p string, in bool, err error) {
	if mount == "" {
		return "", false, nil
	}
	abs, err := filepath.Abs(arg)
	if err != nil {
		return "", false, usage("", "%s: %s", arg, err)
	}
	for _, m := range []string{mount, realPath(mount)} {
		for _, p := range []string{abs, realPath(abs)} {
			if rel, ok := below(p, m); ok {
				return rel, true, nil
			}
		}
	}
	return "", false, nil
}

// below gives p's path from the root of a mount at m, if it is in there.
func below(p, m string) (string, bool) {
	rel, err := filepath.Rel(m, p)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	return path.Join("/", filepath.ToSlash(rel)), true
}

func sharePaths(args []string, st controlapi.Status) ([]string, error) {
	out := make([]string, len(args))
	for i, arg := range args {
		var err error
		if out[i], err = sharePath(arg, st.Mount.Path); err != nil {
			return nil, err
		}
	}
	return out, nil
}
