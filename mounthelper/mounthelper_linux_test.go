package mounthelper

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

func TestParseMountInfo(t *testing.T) {
	got := parseMountInfo([]byte(`22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
36 35 0:45 / /home/me/My\040Shelf\134x rw,nosuid - fuse.shelf shelf rw,user_id=0
not a line
40 22 0:50 / /opt/tab\011here rw master:3 propagate_from:2 - tmpfs none rw
`))
	want := []mount{{"253:0", "/", "ext4"}, {"0:45", `/home/me/My Shelf\x`, "fuse.shelf"}, {"0:50", "/opt/tab\there", "tmpfs"}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}

func FuzzParseMountInfo(f *testing.F) {
	f.Add([]byte("36 35 0:45 / /a\\040b rw - fuse.shelf shelf rw\n"))
	f.Add([]byte("1 2 3 4 \\ - \\"))
	f.Fuzz(func(t *testing.T, b []byte) { parseMountInfo(b) })
}

func TestPrepare(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	fresh := filepath.Join(dir, "a", "b")
	if got, err := Prepare(ctx, fresh); err != nil || got != fresh {
		t.Fatalf("%q %v", got, err)
	}
	if fi, err := os.Stat(fresh); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", fi, err)
	}
	if _, err := Prepare(ctx, fresh); err != nil {
		t.Errorf("an empty directory is refused: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, kind := range map[string]errs.Kind{file: errs.NotDir, dir: errs.NotEmpty, "/proc": errs.Busy} {
		if _, err := Prepare(ctx, path); !errs.Is(err, kind) {
			t.Errorf("%s: %v, want %v", path, err, kind)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "a"), link); err != nil {
		t.Fatal(err)
	}
	if got, err := Prepare(ctx, filepath.Join(link, "b")); err != nil || got != fresh {
		t.Errorf("through a symlink: %q %v", got, err)
	}
}

func TestUnmountOfOthersIsRefused(t *testing.T) {
	if err := Unmount(context.Background(), "/proc", true); !errs.Is(err, errs.Forbidden) {
		t.Errorf("%v", err)
	}
	if err := Unmount(context.Background(), t.TempDir(), false); err != nil {
		t.Errorf("nothing mounted: %v", err)
	}
}

func TestHolders(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "in side")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	for how, cmd := range map[string]*exec.Cmd{
		"working directory": exec.Command("sleep", "30"),
		"open file":         exec.Command("sh", "-c", "exec sleep 30 3> "+open),
	} {
		if how == "working directory" {
			cmd.Dir = inside
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { cmd.Process.Kill(); cmd.Wait() }()
		var found []Holder
		for end := time.Now().Add(5 * time.Second); len(found) == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			for _, h := range Holders(dir) {
				if h.PID == cmd.Process.Pid && h.How == how && h.Command == "sleep" {
					found = append(found, h)
				}
			}
		}
		if len(found) != 1 || !strings.HasPrefix(found[0].Path, dir) {
			t.Errorf("%s: %+v", how, Holders(dir))
		}
	}
	if hs := Holders(filepath.Join(dir, "open2")); len(hs) != 0 {
		t.Errorf("a neighbour's name: %+v", hs)
	}
}

func TestDescribe(t *testing.T) {
	var hs []Holder
	for i := range 5 {
		hs = append(hs, Holder{PID: i, Command: "vim", How: "open file", Path: "/s/x"})
	}
	if got := Describe(hs); !strings.Contains(got, "vim (pid 0, open file /s/x)") || !strings.HasSuffix(got, "and 2 more") {
		t.Errorf("%q", got)
	}
	if Describe(nil) != "" {
		t.Error("of nobody")
	}
}

// fakeHelper puts a fusermount3 first in PATH that is this script.
func fakeHelper(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fusermount3"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

func TestHelperIsFoundWithoutPath(t *testing.T) {
	if _, err := exec.LookPath("fusermount3"); err != nil {
		t.Fatal("fusermount3 is not installed: make prepare")
	}
	t.Setenv("PATH", "")
	path, err := Helper()
	if err != nil || !filepath.IsAbs(path) {
		t.Errorf("%q %v", path, err)
	}
}

// What the helper complains of is in the error, not only in a log.
func TestHelperIsQuoted(t *testing.T) {
	fakeHelper(t, "echo 'fusermount3: user has no write access to mountpoint' >&2; exit 1")
	if _, err := Attach(context.Background(), t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "no write access to mountpoint") {
		t.Errorf("mounting: %v", err)
	}
	if err := throughHelper(context.Background(), t.TempDir(), false); err == nil || !strings.Contains(err.Error(), "no write access") {
		t.Errorf("unmounting: %v", err)
	}
	fakeHelper(t, "exit 0") // says yes and does nothing
	if _, err := Attach(context.Background(), t.TempDir(), nil); err == nil {
		t.Error("nothing was mounted, and nobody said so")
	}
	fakeHelper(t, "exit 3")
	if _, err := Attach(context.Background(), t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a silent helper: %v", err)
	}
}
