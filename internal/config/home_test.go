package config

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

func TestFindHome(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv(EnvHome, "")
	cwd, _ := os.Getwd()
	for _, c := range []struct{ flag, env, xdg, want string }{
		{"/a/b/../c", "/env", "/xdg", "/a/c"},
		{"rel", "", "", filepath.Join(cwd, "rel")},
		{"", "/env", "/xdg", "/env"},
		{"", "", "/xdg", "/xdg/shelf"},
		{"", "", "relative is ignored", "/home/me/.local/share/shelf"},
		{"", "", "", "/home/me/.local/share/shelf"},
	} {
		if runtime.GOOS != "linux" && !strings.HasPrefix(c.want, cwd) && c.flag == "" && c.env == "" {
			continue
		}
		t.Setenv(EnvHome, c.env)
		t.Setenv("XDG_DATA_HOME", c.xdg)
		if h, err := FindHome(c.flag); err != nil || h != Home(c.want) {
			t.Errorf("%+v: %q %v", c, h, err)
		}
	}
}

func TestEnsureIsPrivate(t *testing.T) {
	dir := t.TempDir()
	h := Home(filepath.Join(dir, "a", "b"))
	if h.HasState() {
		t.Error("state in a home that is not there")
	}
	if err := h.Ensure(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(h.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := h.Ensure(); err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Stat(h.Dir()); fi.Mode().Perm() != 0o700 && runtime.GOOS != "windows" {
		t.Errorf("mode %v", fi.Mode())
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(h.Dir(), link); err == nil {
		if err := Home(link).Ensure(); err != nil {
			t.Errorf("a home behind a link: %v", err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := WriteFile(file, nil); err != nil {
		t.Fatal(err)
	}
	if err := Home(file).Ensure(); !errs.Is(err, errs.NotDir) {
		t.Errorf("a file as home: %v", err)
	}
}

func TestSocketOfALongHome(t *testing.T) {
	run := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	dir := t.TempDir()
	short := Home(filepath.Join(dir, "h"))
	if len(short.Dir()) < 80 {
		if p, err := short.MakeSocketPath(); err != nil || p != short.Socket() || filepath.Dir(p) != short.Dir() {
			t.Errorf("short: %q %v", p, err)
		}
	}
	long := Home(filepath.Join(dir, strings.Repeat("long", 30)))
	if err := long.Ensure(); err != nil {
		t.Fatal(err)
	}
	p, err := long.MakeSocketPath()
	if err != nil || len(p) > maxSocketPath {
		t.Fatalf("%q %v", p, err)
	}
	// A client in another session, with other variables, finds it all the same.
	t.Setenv("XDG_RUNTIME_DIR", "")
	if long.Socket() != p {
		t.Errorf("client looks at %q, daemon is at %q", long.Socket(), p)
	}
	if fi, _ := os.Stat(filepath.Dir(p)); fi.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		t.Errorf("folder of the socket has mode %v", fi.Mode())
	}
	// A folder that is really a link somewhere else is a trap.
	t.Setenv("XDG_RUNTIME_DIR", run)
	if err := os.RemoveAll(filepath.Join(run, "shelf")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(run, "shelf")); err == nil {
		p, err := long.MakeSocketPath()
		if err == nil && strings.HasPrefix(p, run) {
			t.Errorf("socket behind a link: %q", p)
		} else if err == nil {
			_ = os.Remove(filepath.Dir(p)) // in /tmp; only if nothing else is there
		}
	}
}

// TestLock lets a child process hold the lock, since one process could share it with itself.
func TestLock(t *testing.T) {
	if dir := os.Getenv("SHELF_TEST_LOCK"); dir != "" {
		if _, err := Home(dir).Lock(); err != nil {
			os.Exit(3)
		}
		_, _ = os.Stdout.WriteString("locked\n")
		time.Sleep(time.Minute)
		os.Exit(0)
	}
	h := Home(t.TempDir())
	if pid, locked := h.Locked(); locked || pid != 0 {
		t.Error("locked before anything")
	}
	child := exec.Command(os.Args[0], "-test.run=^TestLock$")
	child.Env = append(os.Environ(), "SHELF_TEST_LOCK="+h.Dir())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	if pid, locked := h.Locked(); !locked || pid != child.Process.Pid {
		t.Errorf("pid %d locked %v, want %d", pid, locked, child.Process.Pid)
	}
	if _, err := h.Lock(); !errs.Is(err, errs.Busy) {
		t.Errorf("second lock: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := h.WaitUnlocked(ctx); !errs.Is(err, errs.Timeout) {
		t.Errorf("waiting: %v", err)
	}
	// However it ends.
	_ = child.Process.Kill()
	_, _ = child.Process.Wait()
	if err := h.WaitUnlocked(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if pid, locked := h.Locked(); !locked || pid != os.Getpid() {
		t.Errorf("own lock: %d %v", pid, locked)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestMounted(t *testing.T) {
	h := Home(t.TempDir())
	if h.LastMounted() != "" || h.ClearMounted() != nil {
		t.Error("fresh home")
	}
	if err := h.SetMounted("/a b\n/c"); err != nil || h.LastMounted() != "/a b\n/c" {
		t.Errorf("%q %v", h.LastMounted(), err)
	}
	if err := h.ClearMounted(); err != nil || h.LastMounted() != "" {
		t.Errorf("%q %v", h.LastMounted(), err)
	}
	left, _ := filepath.Glob(filepath.Join(h.Dir(), ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := WriteFile(filepath.Join(h.Dir(), "none", "x"), nil); !errs.Is(err, errs.NotExist) {
		t.Errorf("into a folder that is not there: %v", err)
	}
}

func TestLongHomeWithoutADaemonHasNoSocket(t *testing.T) {
	h := Home(filepath.Join(t.TempDir(), strings.Repeat("d", 120)))
	if got := h.Socket(); len(got) > maxSocketPath {
		t.Fatalf("%d bytes: nobody can even ask there", len(got))
	}
	if _, err := os.Stat(h.Socket()); !os.IsNotExist(err) {
		t.Fatalf("err = %v", err)
	}
}
