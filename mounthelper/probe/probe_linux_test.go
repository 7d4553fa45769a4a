package probe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func fake(t *testing.T, files map[string]string) system {
	t.Helper()
	root := t.TempDir()
	for p, body := range files {
		full := filepath.Join(root, p)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return system{
		root: root, euid: 1000,
		lookPath: func(string) (string, error) { return "", errors.New("not found") },
		openFuse: func(string) error { return nil },
	}
}

func find(t *testing.T, r Report, id string) Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.ID == id {
			return f
		}
	}
	t.Fatalf("no finding %q in %+v", id, r)
	return Finding{}
}

func TestMissingHelperNamesTheInstaller(t *testing.T) {
	for id, want := range map[string]string{
		"ID=debian\n":                          "apt-get install fuse3",
		"ID=linuxmint\nID_LIKE=\"ubuntu x\"\n": "apt-get install fuse3",
		"ID=fedora\n":                          "dnf install fuse3",
		"ID=manjaro\nID_LIKE=arch\n":           "pacman -S fuse3",
		"ID=alpine\n":                          "apk add fuse3",
		"":                                     "install the package fuse3",
	} {
		r := fake(t, map[string]string{"etc/os-release": id}).run()
		f := find(t, r, "fusermount")
		if f.OK || !strings.Contains(f.Fix, want) || r.Ready() || !strings.Contains(r.Advice(), want) {
			t.Errorf("%q: %+v, ready %v, advice %q", id, f, r.Ready(), r.Advice())
		}
	}
}

func TestRootNeedsNoHelper(t *testing.T) {
	s := fake(t, nil)
	s.euid = 0
	if r := s.run(); !r.Ready() || r.Advice() != "" || !r.AllowOther() {
		t.Errorf("root: %+v", r)
	}
}

// Without /etc/mtab, as in some minimal systems, users could mount but not unmount.
func TestUnmountingNeedsMtab(t *testing.T) {
	helper := filepath.Join(t.TempDir(), "fusermount3")
	if err := os.WriteFile(helper, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(helper, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		euid  int
		files map[string]string
		ok    bool
	}{
		{1000, nil, false},
		{1000, map[string]string{"etc/mtab": ""}, true},
		{0, nil, true},
	} {
		s := fake(t, c.files)
		s.euid, s.lookPath = c.euid, func(string) (string, error) { return helper, nil }
		r := s.run()
		if f := find(t, r, "fusermount"); f.OK != c.ok || r.Ready() != c.ok || strings.Contains(f.Fix, "/etc/mtab") == c.ok {
			t.Errorf("user %d, %v: %+v", c.euid, c.files, f)
		}
	}
}

func TestDevice(t *testing.T) {
	for _, c := range []struct {
		err   error
		files map[string]string
		fix   string
	}{
		{unix.EACCES, nil, "chmod"},
		{unix.ENOENT, nil, "modprobe"},
		{unix.ENOENT, map[string]string{".dockerenv": ""}, "--device /dev/fuse"},
		{unix.EIO, nil, "modprobe"},
	} {
		s := fake(t, c.files)
		s.openFuse = func(string) error { return c.err }
		f := find(t, s.run(), "fuse-device")
		if f.OK || !f.Fatal || !strings.Contains(f.Fix, c.fix) {
			t.Errorf("%v: %+v", c.err, f)
		}
	}
}

func TestAllowOther(t *testing.T) {
	if fake(t, map[string]string{"etc/fuse.conf": "#user_allow_other\n"}).run().AllowOther() {
		t.Error("a comment counted")
	}
	if !fake(t, map[string]string{"etc/fuse.conf": "mount_max = 9\nuser_allow_other\n"}).run().AllowOther() {
		t.Error("not seen")
	}
}

func TestRunHere(t *testing.T) {
	if r := Run(); len(r.Findings) != 3 {
		t.Errorf("%+v", r)
	}
}

// A service may have a PATH without the folder that every system keeps the helper in.
func TestHelperOutsideOfPath(t *testing.T) {
	s := fake(t, map[string]string{"usr/bin/fusermount3": "", "etc/mtab": ""})
	at := filepath.Join(s.root, "usr/bin/fusermount3")
	if err := os.Chmod(at, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	s.lookPath = func(name string) (string, error) {
		if name == at {
			return at, nil
		}
		return "", errors.New("not found")
	}
	if f := find(t, s.run(), "fusermount"); !f.OK {
		t.Errorf("%+v", f)
	}
}
