package fstest

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/shelffs/shelf/fs/alias"
)

// RunSpelled puts a tree with other rules for names to every test that does not need exact ones,
// for whoever spells exactly must notice nothing, and to tests of these rules.
//
// asks is false below the kernel of Linux: it takes a rename of a file to another spelling of
// its name for one to itself, which changes nothing, and does not pass it on.
func RunSpelled(t *testing.T, r alias.Rules, asks bool, fresh func(t *testing.T) Sys) {
	run(t, fresh, fileTests, dirTests, renameTests, linkTests, attrTests, xattrTests, sparseTests, copyTests, modelTests, spelledTests)
	special := windowsTests
	if r == alias.Mac {
		special = macTests
	}
	run(t, fresh, special)
	if asks {
		run(t, fresh, respellTests)
	}
}

// is demands that a file is found under another spelling, with the same content.
func (t *T) is(path, other string) {
	t.Helper()
	if a, b := t.stat(path), t.stat(other); a.Ino != b.Ino {
		t.Fatalf("%s and %s are different", path, other)
	}
}

var spelledTests = []test{
	{"SpellingOfFiles", func(t *T) {
		t.write("/Readme.md", "one")
		t.is("/Readme.md", "/README.MD")
		t.holds("/readme.MD", "one")
		_, err := t.Open("/README.md", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		t.fails(err, syscall.EEXIST)
		t.write("/README.md", "two")
		t.holds("/Readme.md", "two")
		t.fails(t.Mkdir("/readme.md", 0o755), syscall.EEXIST)
		t.fails(t.Symlink("x", "/readme.md"), syscall.EEXIST)
		t.fails(t.Mkfifo("/readme.md", 0o644), syscall.EEXIST)
		t.write("/other", "")
		t.fails(t.Link("/other", "/readme.md"), syscall.EEXIST)
		t.ok(t.Link("/README.MD", "/second"))
		t.is("/second", "/Readme.md")
		t.ok(t.Chmod("/README.MD", 0o600))
		if st := t.stat("/Readme.md"); st.Mode != 0o600 || st.Nlink != 2 {
			t.Fatalf("%+v", st)
		}
		t.lists("/", "Readme.md", "other", "second")
		t.ok(t.Unlink("/README.MD"))
		t.missing("/Readme.md")
		t.missing("/readme.md")
		t.lists("/", "other", "second")
	}},
	{"SpellingOfDirectories", func(t *T) {
		t.mkdir("/Dir")
		t.mkdir("/Dir/Sub")
		t.write("/dIR/sUB/File", "x")
		t.holds("/Dir/Sub/file", "x")
		t.lists("/DIR", "Sub")
		t.lists("/DIR/SUB", "File")
		t.fails(t.Mkdir("/dir", 0o755), syscall.EEXIST)
		t.fails(t.Rmdir("/dir"), syscall.ENOTEMPTY, syscall.EEXIST)
		t.ok(t.Unlink("/DIR/SUB/FILE"))
		t.ok(t.Rmdir("/DIR/SUB"))
		t.missing("/Dir/Sub")
		t.ok(t.Rename("/dir", "/Moved", Replace))
		t.missing("/Dir")
		t.lists("/", "Moved")
		t.ok(t.Rmdir("/MOVED"))
		t.missing("/Moved")
	}},
	{"SpellingOfRenames", func(t *T) {
		t.write("/From", "from")
		t.write("/Target", "target")
		t.fails(t.Rename("/FROM", "/TARGET", NoReplace), syscall.EEXIST)
		t.ok(t.Rename("/FROM", "/TARGET", Exchange))
		t.holds("/From", "target")
		t.holds("/Target", "from")
		t.ok(t.Rename("/from", "/TARGET", Replace))
		t.holds("/Target", "target")
		t.missing("/From")
		t.lists("/", "Target")
		t.ok(t.Rename("/target", "/step", Replace)) // in two steps it works everywhere
		t.ok(t.Rename("/step", "/TARGET", Replace))
		t.lists("/", "TARGET")
		t.holds("/target", "target")
	}},
	// What one spelling does must show under the others at once, whatever a kernel has kept.
	{"SpellingsGoTogether", func(t *T) {
		for i := range 200 {
			small, large := fmt.Sprint("/name", i), fmt.Sprint("/NAME", i)
			t.missing(small)
			t.write(large, "1")
			t.holds(small, "1")
			t.is(large, small)
			t.ok(t.Unlink(small))
			t.missing(large)
			t.write(small, "2")
			t.holds(large, "2")
			t.ok(t.Rename(large, "/gone", Replace))
			t.missing(small)
			t.mkdir(small)
			t.missing(small + "/f")
			t.write(large+"/F", "3")
			t.holds(small+"/f", "3")
			t.ok(t.Rename(large, "/dir", Replace))
			t.missing(small)
			t.missing(large)
			t.holds("/DIR/f", "3")
			t.ok(t.Unlink("/dir/f"))
			t.ok(t.Rmdir("/DIR"))
		}
	}},
	{"RemoveByOneListing", func(t *T) {
		t.mkdir("/d")
		for i := range 300 {
			t.write(fmt.Sprint("/d/Name", i), "")
		}
		names, err := t.ReadDir("/d")
		t.ok(err)
		for _, n := range names {
			t.ok(t.Unlink("/d/" + n))
		}
		t.ok(t.Rmdir("/d"))
	}},
	{"NamesThatLookLikeAliases", func(t *T) {
		t.write("/a~12345678.txt", "x")
		t.holds("/A~12345678.TXT", "x")
		t.missing("/a.txt")
		t.lists("/", "a~12345678.txt")
		t.ok(t.Unlink("/a~12345678.txt"))
	}},
}

// respellTests need to be told of a rename to another spelling.
var respellTests = []test{
	{"NewSpelling", func(t *T) {
		t.write("/name", "x")
		t.mkdir("/dir")
		f := t.open("/name", os.O_RDWR)
		ino := t.stat("/name").Ino
		t.ok(t.Rename("/name", "/Name", Replace))
		t.ok(t.Rename("/NAME", "/NAME", Replace))
		t.ok(t.Rename("/NAME", "/NaMe", NoReplace))
		t.ok(t.Rename("/dir", "/DIR", Replace))
		t.lists("/", "NaMe", "DIR")
		if st := t.stat("/name"); st.Ino != ino {
			t.Error("another file")
		}
		t.pwrite(f, 1, []byte("y"))
		t.holds("/nAmE", "xy")
	}},
}

var windowsTests = []test{
	{"WhatWindowsCannotHave", func(t *T) {
		t.write("/f", "")
		for _, n := range []string{"a:b", "a*", `a\b`, "quo\"te", "tab\there", "dot.", "space ", "...", "NUL", "nul.txt", "Com1.tar.gz", "LPT¹", "\xff"} {
			_, err := t.Open("/"+n, os.O_WRONLY|os.O_CREATE, 0o644)
			t.fails(err, syscall.EINVAL)
			t.fails(t.Mkdir("/"+n, 0o755), syscall.EINVAL)
			t.fails(t.Rename("/f", "/"+n, Replace), syscall.EINVAL)
			t.fails(t.Link("/f", "/"+n), syscall.EINVAL)
			t.missing("/" + n)
		}
		for _, n := range []string{"a b", "日本語", "-dash", ".dot", "com0x", "null", "�", "a;b", "ß", "SS"} {
			t.write("/"+n, n)
			t.holds("/"+n, n)
		}
	}},
}

var macTests = []test{
	{"WhatMacsTakeForTheSame", func(t *T) {
		t.write("/e\u0301tude", "x")
		t.is("/e\u0301tude", "/étude")
		t.is("/ÉTUDE", "/étude")
		t.lists("/", "e\u0301tude")
		t.write("/Straße", "y")
		t.is("/STRASSE", "/Straße")
		_, err := t.Open("/\xff", os.O_WRONLY|os.O_CREATE, 0o644)
		t.fails(err, syscall.EINVAL)
		t.write("/a:b", "")
		t.write("/NUL", "")
	}},
}
