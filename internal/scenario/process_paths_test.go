//go:build linux

package scenario

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Names are bytes: whatever takes a path takes one that is not UTF-8, by the mount and by the share, and
// what is printed for scripts has the bytes in it.
func TestNamesThatAreNotText(t *testing.T) {
	t.Parallel()
	const bad, spelled = "bad\xff", `"/bad\u0000ff"`
	d := newDevice(t, "a")
	d.settings("") // with heat
	d.up()
	d.write(bad, []byte("v1"))
	d.write("sub\xfe/f", []byte("deep"))
	settle()
	d.write(bad, []byte("v2"))
	for _, path := range []string{"/" + bad, d.path(bad)} {
		settle()
		d.must("restore", path)
		d.shows(bad, []byte("v1"))
		d.must("undo")
		d.shows(bad, []byte("v2"))
		for _, args := range [][]string{{"pin"}, {"unpin"}, {"heat"}, {"versions"}, {"status"}, {"why"}, {"du"}, {"conflicts"}} {
			if out := d.must(append(args, "--json", path)...); args[0] != "heat" && !strings.Contains(out, spelled) {
				t.Errorf("%s %q: no %s in\n%s", args[0], path, spelled, out)
			}
		}
	}
	if out := d.must("ls", "--json"); !strings.Contains(out, `"name":"bad\u0000ff"`) || !strings.Contains(out, `"name":"sub\u0000fe"`) {
		t.Errorf("ls:\n%s", out)
	}
	d.must("restore", "/"+bad, "--to", "/sub\xfe/\xfd")
	d.shows("sub\xfe/\xfd", []byte("v1"))
	d.removeAll("sub\xfe")
	if out := d.must("restore", "--json", "/sub\xfe"); !strings.Contains(out, `"/sub\u0000fe/f"`) {
		t.Errorf("restore:\n%s", out)
	}
	d.shows("sub\xfe/f", []byte("deep"))
	if out := d.must("versions", "/"+bad); !strings.Contains(out, "now") {
		t.Errorf("versions:\n%s", out)
	}
	if out, code := d.try("pin", "/none\xff"); code != 4 || !strings.Contains(out, `/none\xff: does not exist`) {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

// A path of this computer that is not in the mount is not made in the share, nor called missing without a
// word; one that the share has means the share, whatever lies elsewhere.
func TestPathsOutsideOfTheMount(t *testing.T) {
	a, b := newDevice(t, "a").up(), newDevice(t, "b").up() // of accounts of their own
	a.write("f", []byte("old"))
	b.write("hi", []byte("b's"))
	settle()
	a.write("f", []byte("new"))
	outside := t.TempDir()
	top := strings.Split(outside, "/")[1]

	for _, args := range [][]string{{"versions", b.path("hi")}, {"status", "/etc/passwd"}, {"restore", "/etc/passwd@14:00"}, {"pin", "/etc/passwd"}} {
		if out, code := a.try(args...); code != 4 || !strings.Contains(out, "is not in the mount, "+a.mnt) {
			t.Errorf("%v: exit %d:\n%s", args, code, out)
		}
	}
	for _, to := range []string{outside + "/x", outside + "/not/there/x", "/" + top, b.path("x")} {
		if out, code := a.try("restore", "/f", "--to", to); code != 2 || !strings.Contains(out, to+" is not in the mount") {
			t.Errorf("--to %s: exit %d:\n%s", to, code, out)
		}
	}
	for _, args := range [][]string{{"/f@"}, {"/f", "--to", ""}, {"/f@2999-01-01"}, {"/f", "--to", "/.shelf/history/x"}} {
		if out, code := a.try(append([]string{"restore"}, args...)...); code != 2 {
			t.Errorf("%q: exit %d:\n%s", args, code, out)
		}
	}
	if _, err := os.Lstat(a.path(top)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the share has got %s: %v", top, err)
	}
	a.shows("f", []byte("new"))

	a.must("restore", "/f", "--to", a.path(top+"/in/the/share")) // a way to mean the share that nothing else has
	a.shows(top+"/in/the/share", []byte("old"))
	a.write(outside+"/y", nil)
	a.must("restore", "/f", "--to", outside+"/x") // now the share has the folder, too
	a.shows(outside+"/x", []byte("old"))
	if out, code := a.try("restore", "/f", "--to", "/"+top+"/in/the/share"); code != 0 {
		t.Errorf("the same bytes: exit %d:\n%s", code, out)
	}
	a.write("other", []byte("mine"))
	if out, code := a.try("restore", "/f", "--to", "/other"); code != 8 || !strings.Contains(out, "something else is there now") {
		t.Errorf("over another file: exit %d:\n%s", code, out)
	}
	a.shows("other", []byte("mine"))
}
