package fstest

import (
	"fmt"
	"syscall"
)

var dirTests = []test{
	{"MkdirRmdir", func(t *T) {
		t.mkdir("/d")
		t.fails(t.Mkdir("/d", 0o755), syscall.EEXIST)
		if st := t.stat("/d"); st.Type != Dir || st.Mode != 0o755 {
			t.Fatalf("%+v", st)
		}
		t.lists("/", "d")
		t.ok(t.Rmdir("/d"))
		t.missing("/d")
		t.fails(t.Rmdir("/d"), syscall.ENOENT)
	}},
	{"RmdirNotEmpty", func(t *T) {
		t.mkdir("/d")
		t.write("/d/a", "")
		t.fails(t.Rmdir("/d"), syscall.ENOTEMPTY, syscall.EEXIST)
		t.ok(t.Unlink("/d/a"))
		t.ok(t.Rmdir("/d"))
	}},
	{"WrongKindOfRemoval", func(t *T) {
		t.mkdir("/d")
		t.write("/f", "")
		t.fails(t.Unlink("/d"), syscall.EISDIR, syscall.EPERM)
		t.fails(t.Rmdir("/f"), syscall.ENOTDIR)
		t.fails(t.Unlink("/nothing"), syscall.ENOENT)
	}},
	{"DeepTree", func(t *T) {
		p := ""
		for i := range 40 {
			p += fmt.Sprintf("/level%d", i)
			t.mkdir(p)
		}
		t.write(p+"/leaf", "deep")
		t.holds(p+"/leaf", "deep")
	}},
	{"ListWhileRemoving", func(t *T) { // rm -r of one listing must succeed
		t.mkdir("/d")
		for i := range 700 {
			t.write(fmt.Sprintf("/d/file-%04d", i), "")
		}
		names, err := t.ReadDir("/d")
		t.ok(err)
		for _, n := range names {
			t.ok(t.Unlink("/d/" + n))
		}
		t.lists("/d")
		t.ok(t.Rmdir("/d"))
	}},
	{"ParentTimesChange", func(t *T) {
		t.mkdir("/d")
		t.ok(t.Utimes("/d", 1e18, 1e18))
		if got := t.stat("/d").Mtime; got != 1e18 {
			t.Fatalf("mtime %d", got)
		}
		t.write("/d/a", "")
		if got := t.stat("/d").Mtime; got == 1e18 {
			t.Error("a new entry left the directory's mtime")
		}
		t.ok(t.Utimes("/d", 1e18, 1e18))
		t.ok(t.Unlink("/d/a"))
		if got := t.stat("/d").Mtime; got == 1e18 {
			t.Error("a removed entry left the directory's mtime")
		}
	}},
}

// exactTests hold where every name is one of its own.
var exactTests = []test{
	{"NamesOfAllKinds", func(t *T) {
		names := []string{"a b", "ü", "ü", "日本語", "tab\there", "back\\slash", "quo\"te", "-dash", "...", "\xff\xfe", "e\u0301", "é"}
		seen := map[string]bool{}
		for _, n := range names {
			if !seen[n] {
				t.write("/"+n, n)
			}
			seen[n] = true
		}
		var want []string
		for n := range seen {
			t.holds("/"+n, n)
			want = append(want, n)
		}
		t.lists("/", want...)
	}},
}
