package daemon

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shelffs/shelf/fs"
)

// write puts a file into the root, durably.
func write(t *testing.T, d *daemon, name string, p []byte) {
	t.Helper()
	ctx := context.Background()
	_, h, err := d.fs.Create(ctx, fs.Caller{}, fs.RootIno, name, 0o644, fs.OpenFlags{Write: true, Truncate: true}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.WriteAt(ctx, 0, p, fs.WriteFlags{}); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if err := d.fs.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.cache.Sync(ctx); err != nil {
		t.Fatal(err)
	}
}

// The only copy of a part of a file is damaged: its name is told, and that it is lost, until the file is
// written anew or removed, also after a restart.
func TestLostFilesAreTold(t *testing.T) {
	s, ctx := home(t), context.Background()
	d := mustOpen(t, s, &lonely{})
	mark := []byte("which file")
	for _, name := range []string{"a", "b", "whole"} {
		write(t, d, name, append(bytes.Repeat([]byte(name), 50_000), mark...))
	}
	spoiled := map[string]digest{}
	for _, name := range []string{"a", "b"} {
		e, err := d.resolve("/" + name)
		if err != nil {
			t.Fatal(err)
		}
		spoiled[name] = e.Content.Root
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	spoil(t, filepath.Join(s.Home.CacheDir(), "segments"), spoiled["a"], spoiled["b"])

	d = mustOpen(t, s, &lonely{})
	for _, block := range spoiled {
		if err := d.cache.Damaged(ctx, block); err != nil { // as a reader would find
			t.Fatal(err)
		}
	}
	told := func() (paths []string) {
		st, err := d.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range st.Lost {
			paths = append(paths, f.Path)
			if !slices.ContainsFunc(st.Warnings, func(w string) bool {
				return strings.HasPrefix(w, "The only copy of a part of "+f.Path) && strings.Contains(w, "shelf versions "+f.Path)
			}) {
				t.Errorf("%q", st.Warnings)
			}
		}
		if slices.ContainsFunc(st.Warnings, func(w string) bool { return strings.Contains(w, "fetched again") }) {
			t.Errorf("nobody has it: %q", st.Warnings)
		}
		return paths
	}
	eventually(t, "both are told", func() bool { return slices.Equal(told(), []string{"/a", "/b"}) })
	w, err := d.Why(ctx, "/a")
	if err != nil || !strings.Contains(w.Reason, "is lost") || slices.Contains(w.Hints, "switch on the other devices") {
		t.Errorf("%+v %v", w, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = mustOpen(t, s, &lonely{})
	defer func() { d.Close() }()
	if got := told(); !slices.Equal(got, []string{"/a", "/b"}) {
		t.Errorf("after a restart: %q", got)
	}
	write(t, d, "a", []byte("anew"))
	eventually(t, "written anew", func() bool { return slices.Equal(told(), []string{"/b"}) })
	if err := d.fs.Unlink(ctx, fs.RootIno, "b"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "removed", func() bool { return len(told()) == 0 })
}

// spoil damages the records of blocks in segment files: a record's header begins with the digest.
func spoil(t *testing.T, dir string, ds ...digest) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
	n := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ds {
			if at := bytes.Index(b, d[:]); at >= 0 {
				copy(b[at+1000:], "damage")
				n++
			}
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n != len(ds) {
		t.Fatalf("%d records found", n)
	}
}
