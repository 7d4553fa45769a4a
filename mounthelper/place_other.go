//go:build !windows

package mounthelper

// drive is for Windows.
func drive(string) (string, bool) { return "", false }

// vacate leaves an empty directory at p.
func vacate(op, p string) error { return emptyDir(op, p) }
