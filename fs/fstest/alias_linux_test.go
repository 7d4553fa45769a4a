package fstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shelffs/shelf/fs/alias"
)

// Another device, on which every name is one of its own, makes names that clash or cannot be
// here: they show as aliases, which act on what they stand for, and are nowhere but here.
func TestAliases(t *testing.T) {
	c := mountedWith(t, t.TempDir(), alias.Windows)
	at := func(p string) string { return filepath.Join(c.mnt, p) }
	shown := func(name string) string { // as if it clashed
		return alias.Windows.Show(name, []string{name, strings.ToUpper(name)})
	}
	ls := func(dir string, want ...string) {
		t.Helper()
		soon(t, "["+strings.Join(want, " ")+"]", func() string { return names(at(dir)) })
	}
	there := func(want string) {
		t.Helper()
		c.ask("fetch")
		if got := c.ask("ls", "/"); got != want {
			t.Errorf("the other device has %s, want %s", got, want)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	ls(".")
	c.ask("write", "/Readme.md", "one")
	c.ask("write", "/a:b", "colon")
	c.ask("mkdir", "/src")
	c.ask("write", "/src/f", "in src")
	c.ask("push")
	readme, colon, src := shown("Readme.md"), shown("a:b"), shown("src")
	ls(".", "Readme.md", colon, "src")
	for p, want := range map[string]string{"Readme.md": "one", "README.md": "one", "src/f": "in src", "SRC/F": "in src", colon: "colon", strings.ToUpper(colon): "colon"} {
		if got := cat(at(p))(); got != want {
			t.Errorf("%s: %q", p, got)
		}
	}

	// A clash comes from elsewhere while a program is in the directory.
	in, err := os.Open(at("src"))
	do(err)
	c.ask("write", "/README.md", "two")
	c.ask("mkdir", "/SRC")
	c.ask("write", "/SRC/g", "in SRC")
	c.ask("push")
	ls(".", "README.md", readme, "SRC", colon, src)
	for p, want := range map[string]string{
		"README.md": "two", "readme.MD": "two", readme: "one", strings.ToLower(readme): "one",
		"Readme.md": "one", // who knows it by its own name does not get another file
		"SRC/g":     "in SRC", "Src/g": "in SRC", src + "/f": "in src", "src/f": "in src", "SRC/f": absent,
	} {
		if got := cat(at(p))(); got != want {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
	}
	if got, err := in.Readdirnames(-1); err != nil || len(got) != 1 || got[0] != "f" {
		t.Error(got, err)
	}
	do(in.Close())

	// It is the same after a restart.
	before := names(c.mnt)
	c.quit()
	c = mountedWith(t, c.dir, alias.Windows)
	ls(".", strings.Fields(strings.Trim(before, "[]"))...)

	// What is done through an alias is done to what it stands for.
	do(os.WriteFile(at(readme), []byte("one more"), 0o644))
	do(os.Chmod(at(src), 0o700))
	do(os.WriteFile(at(src+"/h"), []byte("h"), 0o644))
	there("[README.md Readme.md SRC a:b src]")
	if got := c.ask("read", "/Readme.md") + c.ask("read", "/README.md") + c.ask("ls", "/src") + c.ask("ls", "/SRC"); got != "one moretwo[f h][g]" {
		t.Error(got)
	}
	if _, err := os.OpenFile(at(readme), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); !os.IsExist(err) {
		t.Error(err)
	}
	do(os.Rename(at(colon), at("fine")))
	do(os.Rename(at(src), at("source")))
	there("[README.md Readme.md SRC fine source]")
	ls(".", "README.md", readme, "SRC", "fine", "source")

	// The clash ends elsewhere: the alias is gone, the name is back.
	c.ask("rename", "/README.md", "/else")
	c.ask("push")
	ls(".", "Readme.md", "SRC", "else", "fine", "source")
	if got := cat(at(readme))() + cat(at("README.MD"))(); got != "one moreone more" { // an alias is understood for good
		t.Error(got)
	}
	c.ask("write", "/README.md", "three")
	c.ask("push")
	ls(".", "README.md", readme, "SRC", "else", "fine", "source")
	do(os.Remove(at("README.md"))) // … and here
	ls(".", "Readme.md", "SRC", "else", "fine", "source")
	do(os.Remove(at("README.md")))
	there("[SRC else fine source]")
}

// A directory that the kernel knows by its name, and that another device then makes one of two.
func TestAliasOfADirectoryInUse(t *testing.T) {
	c := mountedWith(t, t.TempDir(), alias.Mac)
	at := func(p string) string { return filepath.Join(c.mnt, p) }
	nfd, nfc := "e\u0301t", "ét"
	if err := os.MkdirAll(at(nfc+"/deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.ask("fetch")
	for range 3 {
		if err := os.WriteFile(at(nfd+"/deep/f"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		c.ask("mkdir", "/"+nfd)
		c.ask("write", "/"+nfd+"/new", "y")
		c.ask("push")
		aka := alias.Mac.Show(nfc, []string{nfc, nfd})
		soon(t, "["+nfd+" "+aka+"]", func() string { return names(c.mnt) })
		soon(t, "y", cat(at(nfd+"/new")))
		for p, want := range map[string]string{aka + "/deep/f": "x", nfc + "/deep/f": "x", nfd + "/deep/f": absent, nfc + "/new": absent} {
			if got := cat(at(p))(); got != want {
				t.Errorf("%s: %q, want %q", p, got, want)
			}
		}
		c.ask("unlink", "/"+nfd+"/new")
		c.ask("rmdir", "/"+nfd)
		c.ask("push")
		soon(t, "["+nfc+"]", func() string { return names(c.mnt) })
		soon(t, "x", cat(at(nfd+"/deep/f")))
	}
}

// What one listing had can be removed by it, though names show otherwise meanwhile.
func TestRemoveAliasesByOneListing(t *testing.T) {
	c := mountedWith(t, t.TempDir(), alias.Windows)
	for _, dir := range []string{"/d", "/d/e", "/d/E"} {
		c.ask("mkdir", dir)
		for _, name := range []string{"one", "One", "ONE", "a:b", "nul", strings.Repeat("x", 255), strings.Repeat("X", 255)} {
			c.ask("write", dir+"/"+name, name)
		}
	}
	c.ask("push")
	soon(t, "[d]", func() string { return names(c.mnt) })
	sh(t, c.mnt, "rm -r d")
	c.ask("fetch")
	if got := c.ask("ls", "/"); got != "[]" {
		t.Error(got)
	}
}
