package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func (h Home) mountedFile() string { return filepath.Join(string(h), "mounted") }

// SetMounted records that the namespace is mounted at path, before it is. The daemon calls
// it, so that after a crash the next start knows which stale mount is ours to mend.
func (h Home) SetMounted(path string) error {
	return WriteFile(h.mountedFile(), []byte(path+"\n"))
}

// ClearMounted records that nothing is mounted any more.
func (h Home) ClearMounted() error {
	if err := os.Remove(h.mountedFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// LastMounted is the recorded mount: "" when there is none. Without a running daemon it is
// where a crashed one was mounted.
func (h Home) LastMounted() string {
	b, err := os.ReadFile(h.mountedFile())
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(b), "\n")
}
