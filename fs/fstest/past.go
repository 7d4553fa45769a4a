package fstest

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Past puts the read-only view of the past to a tree whose root is a whole share's, empty so far. pass
// lets time go by and tells the time, in the zone that names of times are in.
func Past(t *T, pass func(time.Duration) time.Time) {
	at := func(x time.Time) string { return "/.shelf/history/" + x.Format("2006-01-02T15:04:05") }
	t.ok(t.Mkdir("/d", 0o750))
	t.write("/d/a", "one")
	t.write("/d/b", "two")
	t.ok(t.Chmod("/d/a", 0o640))
	t.ok(t.Symlink("a", "/d/link"))
	for _, name := range []string{"user.changed", "user.removed", "user.stays"} {
		t.ok(t.Setxattr("/d/a", name, []byte("then"), 0))
	}
	t.ok(t.Setxattr("/d", "user.dir", []byte("then"), 0))
	t.ok(t.Setxattr("/d/b", "user.b", []byte{}, 0))
	before := t.stat("/d/a")
	then := at(pass(time.Hour))
	pass(time.Hour)
	t.write("/d/a", "ONE MORE")
	t.ok(t.Setxattr("/d/a", "user.changed", []byte("now"), 0))
	t.ok(t.Setxattr("/d/a", "user.new", []byte("now"), 0))
	t.ok(t.Removexattr("/d/a", "user.removed"))
	t.ok(t.Removexattr("/d", "user.dir"))
	t.ok(t.Unlink("/d/b"))
	t.ok(t.Rename("/d", "/e", Replace))
	t.write("/e/new", "")
	pass(time.Hour)

	t.lists("/", "e")
	t.lists("/.shelf", "history")
	times, err := t.ReadDir("/.shelf/history")
	t.ok(err)
	if len(times) == 0 {
		t.Error("no times are listed")
	}
	for _, name := range times {
		if s := t.stat("/.shelf/history/" + name); s.Type != Dir {
			t.Errorf("%s is %+v", name, s)
		}
	}
	t.lists(then, "d")
	t.lists(then+"/d", "a", "b", "link")
	for name, want := range map[string]string{"/d/a": "one", "/d/b": "two"} {
		if got := t.read(then + name); got != want {
			t.Errorf("%s was %q, want %q", name, got, want)
		}
	}
	if s := t.stat(then + "/d/a"); s.Type != Regular || s.Mode != 0o640 || s.Size != 3 || s.Mtime != before.Mtime || s.UID != before.UID || s.Ino == before.Ino {
		t.Errorf("%+v, and then it was %+v", s, before)
	}
	for at, want := range map[string]string{
		then + "/d/a": "user.changed=then user.removed=then user.stays=then", "/e/a": "user.changed=now user.new=now user.stays=then",
		then + "/d": "user.dir=then", "/e": "", then + "/d/b": "user.b=", then: "", "/.shelf/history": "",
	} {
		if got := t.xattrs(at); got != want {
			t.Errorf("%s has %q, want %q", at, got, want)
		}
	}
	if target, err := t.Readlink(then + "/d/link"); err != nil || target != "a" {
		t.Errorf("%q, %v", target, err)
	}
	if got := t.read("/e/a"); got != "ONE MORE" {
		t.Errorf("now it is %q", got)
	}
	missing := func(p string, want ...syscall.Errno) {
		t.Helper()
		_, err := t.Lstat(p)
		t.fails(err, want...)
	}
	missing(then+"/e", syscall.ENOENT)
	missing(then+"/d/new", syscall.ENOENT)
	missing(then+"/d/a/x", syscall.ENOTDIR)
	missing("/.shelf/other", syscall.ENOENT)
	missing("/.shelf/history/yesterday", syscall.ENOENT)
	missing(at(pass(0).Add(48*time.Hour)), syscall.EINVAL)
	pastIsReadOnly(t, then)
	t.lists("/", "e")
	t.lists("/e", "a", "link", "new")
}

// xattrs is all extended attributes of a file.
func (t *T) xattrs(path string) string {
	t.Helper()
	names, err := t.Listxattr(path)
	t.ok(err)
	for i, n := range names {
		v, err := t.Getxattr(path, n)
		t.ok(err)
		names[i] = n + "=" + string(v)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// pastIsReadOnly tries every way to change the past.
func pastIsReadOnly(t *T, then string) {
	const ro = syscall.EROFS
	for _, flag := range []int{os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND} {
		f, err := t.Open(then+"/d/a", flag, 0)
		if err == nil && flag == os.O_TRUNC { // without leave to write it means nothing to the core
			t.ok(f.Close())
			continue
		}
		t.fails(err, ro)
	}
	if got := t.read(then + "/d/a"); got != "one" {
		t.Errorf("the past was changed to %q", got)
	}
	_, err := t.Open(then+"/d/c", os.O_WRONLY|os.O_CREATE, 0o644)
	t.fails(err, ro)
	t.fails(t.Mkdir(then+"/d/c", 0o755), ro)
	t.fails(t.Symlink("a", then+"/d/c"), ro)
	t.fails(t.Mkdir("/.shelf/history/c", 0o755), ro)
	t.fails(t.Mkdir("/.shelf", 0o755), ro, syscall.EEXIST)
	t.fails(t.Unlink(then+"/d/a"), ro)
	t.fails(t.Rmdir(then+"/d"), ro)
	t.fails(t.Rmdir("/.shelf"), ro)
	t.fails(t.Rename(then+"/d/a", "/a", Replace), ro)
	t.fails(t.Rename("/e/a", then+"/d/z", Replace), ro)
	t.fails(t.Rename("/e", "/.shelf", Replace), ro)
	t.fails(t.Rename("/.shelf", "/e/x", Replace), ro)
	t.fails(t.Link(then+"/d/a", "/a"), ro)
	t.fails(t.Chmod(then+"/d/a", 0o600), ro)
	t.fails(t.Utimes(then+"/d/a", 1, 1), ro)
	t.fails(t.Truncate(then+"/d/a", 0), ro)
	t.fails(t.Setxattr(then+"/d/a", "user.x", []byte("y"), 0), ro)
	_, err = t.Getxattr(then+"/d/a", "user.x")
	t.fails(err, errNoAttr)
}
