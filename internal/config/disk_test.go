package config

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A copy of a folder, or the folder put back from a copy, has another mark; the folder itself
// keeps its own whatever happens in it.
func TestDiskMark(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "a")
	make := func(name string) {
		if err := os.Mkdir(filepath.Join(parent, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	make("a")
	mark := DiskMark(dir)
	if mark == nil {
		t.Log("this system cannot say when a folder was made")
		return
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, filepath.Join(parent, "moved")); err != nil {
		t.Fatal(err)
	}
	if again := DiskMark(filepath.Join(parent, "moved")); !bytes.Equal(mark, again) {
		t.Error("changed by use and a new name")
	}
	make("a")
	if bytes.Equal(mark, DiskMark(dir)) {
		t.Error("another folder in its place has the same mark")
	}
}
