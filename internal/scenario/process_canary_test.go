//go:build linux

package scenario

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf16"

	"golang.org/x/sys/unix"
)

// encodings are the common ways in which a text could lie about.
var encodings = map[string]func(string) []byte{
	"plain":  func(s string) []byte { return []byte(s) },
	"hex":    func(s string) []byte { return []byte(hex.EncodeToString([]byte(s))) },
	"base64": func(s string) []byte { return []byte(base64.RawStdEncoding.EncodeToString([]byte(s))[:len(s)]) },
	"base32": func(s string) []byte {
		return []byte(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(s))[:len(s)])
	},
	"utf-16": func(s string) []byte {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return b
	},
}

// leaks scans every file below dir for every mark in every encoding, upper and lower case.
func leaks(t *testing.T, dir string, marks ...string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b = bytes.ToLower(b)
		for _, m := range marks {
			for name, enc := range encodings {
				if bytes.Contains(b, bytes.ToLower(enc(m))) {
					found = append(found, filepath.Base(path)+" holds "+m+" as "+name)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The scanner below finds what it looks for: otherwise the canary could not sing.
func TestCanaryScannerFinds(t *testing.T) {
	for name, enc := range encodings {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "x"), append([]byte("noise"), enc("canary-mark-17")...), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := leaks(t, dir, "canary-mark-17"); len(got) == 0 {
			t.Errorf("a mark as %s is not found", name)
		}
	}
}

// Names, contents, targets, attributes and device names carry marks; after sync, pins, a crash and
// a restart no file of any home holds one in any common encoding.
func TestCanary(t *testing.T) {
	t.Parallel()
	const name, content, target, attr, device1, device2 = "kanarienvogel-name", "kanarienvogel-content", "kanarienvogel-target",
		"kanarienvogel-attr", "kanarienvogel-desk", "kanarienvogel-laptop"
	a, b := newDevice(t, device1).up(), newDevice(t, device2)
	big := append(bytes.Repeat([]byte(content+"\n"), 40_000), random(1, 1<<20)...)
	a.write(name+"/"+name+".txt", []byte(content))
	a.write(name+"/"+name+".bin", big)
	if err := os.Symlink(target, a.path(name+"-link")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(a.path(name+"/"+name+".txt"), "user."+attr, []byte(attr), 0); err != nil {
		t.Fatal(err)
	}
	a.admit(b)
	b.up()
	b.must("pin", b.path(name))
	b.shows(name+"/"+name+".bin", big)
	a.kill()
	a.up()
	a.must("sync", "--wait", "--timeout", "30s")
	a.must("down")
	b.must("down")
	for _, d := range []*device{a, b} {
		for _, l := range leaks(t, d.home, name, content, target, attr, device1, device2) {
			t.Errorf("%s: %s", d.name, l)
		}
	}
}
