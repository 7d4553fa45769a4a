//go:build !windows

package errs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestOS(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, missing := os.Open(filepath.Join(dir, "missing"))
	_, below := os.Open(filepath.Join(file, "below"))
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{nil, Other},
		{errors.New("x"), Other},
		{missing, NotExist},
		{below, NotDir},
		{os.Mkdir(dir, 0o700), Exist},
		{os.Remove(dir), NotEmpty},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, Permission},
		{fmt.Errorf("wrapped: %w", syscall.EPERM), Permission},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, NoSpace},
		{syscall.EIO, Other},
		{E("inner", Corrupt, "", syscall.ENOENT), Corrupt}, // keeps the kind that it has
		{E("inner", Other, "", syscall.ENOENT), NotExist},
	} {
		if got := OS(c.err); got != c.want {
			t.Errorf("%v is %v, want %v", c.err, got, c.want)
		}
	}
	if err := FromOS("op", "subject", missing); KindOf(err) != NotExist || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
