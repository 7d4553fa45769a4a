//go:build linux

package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The main job: two devices, one namespace, a file opened on one whose bytes lived only on the other.
func TestOpenAFileThatLivesElsewhere(t *testing.T) {
	a, b := newDevice(t, "desk").up(), newDevice(t, "laptop")
	photo := random(1, 3<<20)
	a.write("photos/cat.jpg", photo)
	a.write("notes.txt", []byte("milk\n"))
	a.admit(b)
	b.up()

	eventually(t, 10*time.Second, "the namespace is there", func() bool {
		fi, err := os.Stat(b.path("photos/cat.jpg"))
		return err == nil && fi.Size() == int64(len(photo))
	})
	if s := b.status(); s.Transferred.BlocksIn != 0 || s.Files != 2 {
		t.Fatalf("metadata only: %d blocks crossed, %d files", s.Transferred.BlocksIn, s.Files)
	}
	if ps := b.pathStatus(b.path("photos/cat.jpg")); ps.Complete || ps.LocalBytes != 0 || ps.Size != int64(len(photo)) {
		t.Fatalf("before opening: %+v", ps)
	}
	if !bytes.Equal(b.read("photos/cat.jpg"), photo) {
		t.Fatal("other bytes")
	}
	if s := b.status(); s.Transferred.BlocksIn == 0 {
		t.Fatal("read without a transfer")
	}
	if ps := b.pathStatus(b.path("photos/cat.jpg")); !ps.Complete || len(ps.Copies) == 0 {
		t.Fatalf("after reading: %+v", ps)
	}

	// And the other way round, on the open mounts.
	b.write("from-laptop.txt", []byte("hello desk"))
	a.shows("from-laptop.txt", []byte("hello desk"))
}

// What a script that knows only the contract does to three homes.
func TestThreeHomes(t *testing.T) {
	t.Parallel()
	a, b, c := newDevice(t, "a").up(), newDevice(t, "b"), newDevice(t, "c")
	a.admit(b)
	b.up()
	b.admit(c) // any device of the account may invite
	c.up()
	all := []*device{a, b, c}
	want := map[string][]byte{}
	for i, d := range all {
		for j := range 4 {
			name := fmt.Sprintf("from-%s/%d.bin", d.name, j)
			want[name] = random(uint64(100+10*i+j), 1<<uint(10+4*j)+j)
			d.write(name, want[name])
		}
	}
	for name, data := range want {
		for _, d := range all {
			d.shows(name, data)
		}
	}

	// Pinned on b: kept there, and then a need not keep it any more.
	keep := "from-a/3.bin"
	b.must("pin", b.path(keep))
	if ps := b.pathStatus(b.path(keep)); !ps.Complete || ps.Placement != "pinned" {
		t.Fatalf("pinned: %+v", ps)
	}
	eventually(t, 15*time.Second, "a may free what b keeps", func() bool {
		_, code := a.try("free", a.path(keep))
		return code == 0
	})
	if ps := a.pathStatus(a.path(keep)); ps.LocalBytes != 0 {
		t.Fatalf("freed: %+v", ps)
	}
	if !bytes.Equal(a.read(keep), want[keep]) {
		t.Fatal("freed file comes back with other bytes")
	}

	// A file that only c has can not be freed on c.
	c.write("only-c.bin", random(7, 700_000))
	if out, code := c.try("free", c.path("only-c.bin")); code == 0 {
		t.Fatalf("the last copy was freed: %s", out)
	} else if !strings.Contains(out, "copy") && !strings.Contains(out, "keep") {
		t.Fatalf("the refusal does not say why: %s", out)
	}
	a.shows("only-c.bin", random(7, 700_000)) // and through a it is readable, so its record is there
	a.must("free", a.path("only-c.bin"))

	// Offline: a pinned folder opens, also with what came into it later; the rest says why not.
	b.must("pin", b.path("from-c"))
	c.write("from-c/later.bin", random(8, 300_000))
	want["from-c/later.bin"] = random(8, 300_000)
	eventually(t, 20*time.Second, "a pinned folder's new file is fetched", func() bool {
		out, code := b.try("status", "--json", b.path("from-c/later.bin"))
		return code == 0 && strings.Contains(out, `"complete":true`) || strings.Contains(out, `"complete": true`)
	})
	a.must("down")
	c.must("down")
	for name, data := range want {
		if strings.HasPrefix(name, "from-c/") && !bytes.Equal(b.read(name), data) {
			t.Errorf("pinned %s offline: other bytes", name)
		}
	}
	started := time.Now()
	_, err := os.ReadFile(b.path("only-c.bin"))
	if !errors.Is(err, syscall.EHOSTDOWN) {
		t.Errorf("offline read: %v, want EHOSTDOWN", err)
	}
	if d := time.Since(started); d > 30*time.Second {
		t.Errorf("offline read took %v", d)
	}
	if out := b.must("why", b.path("only-c.bin")); !strings.Contains(out, "c") {
		t.Errorf("why: %q", out)
	}

	// kill -9, start again, and every byte that was promised is there.
	a.up()
	a.write("promised.bin", random(9, 2<<20))
	syncFile(t, a.path("promised.bin"))
	a.kill()
	a.up()
	if !bytes.Equal(a.read("promised.bin"), random(9, 2<<20)) {
		t.Fatal("a promise was broken")
	}
	c.up()
	for name, data := range want {
		for _, d := range all {
			d.shows(name, data)
		}
	}
	a.must("sync", "--wait", "--timeout", "60s")
}

func syncFile(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

// Every kind of change made on one device shows on the other.
func TestChangesShow(t *testing.T) {
	a, b := newDevice(t, "a").up(), newDevice(t, "b")
	a.admit(b)
	b.up()
	when := time.Unix(1_500_000_000, 123_456_789)
	steps := []struct {
		name string
		do   func() error
		seen func() bool
	}{
		{"mkdir", func() error { return os.Mkdir(a.path("d"), 0o750) },
			func() bool {
				fi, err := os.Stat(b.path("d"))
				return err == nil && fi.IsDir() && fi.Mode().Perm() == 0o750
			}},
		{"create", func() error { return os.WriteFile(a.path("d/f"), []byte("one"), 0o644) },
			func() bool { x, err := os.ReadFile(b.path("d/f")); return err == nil && string(x) == "one" }},
		{"write", func() error { return os.WriteFile(a.path("d/f"), []byte("two and more"), 0o644) },
			func() bool { x, err := os.ReadFile(b.path("d/f")); return err == nil && string(x) == "two and more" }},
		{"truncate", func() error { return os.Truncate(a.path("d/f"), 3) },
			func() bool { x, err := os.ReadFile(b.path("d/f")); return err == nil && string(x) == "two" }},
		{"chmod", func() error { return os.Chmod(a.path("d/f"), 0o600) },
			func() bool { fi, err := os.Stat(b.path("d/f")); return err == nil && fi.Mode().Perm() == 0o600 }},
		{"utimes", func() error { return os.Chtimes(a.path("d/f"), when, when) },
			func() bool { fi, err := os.Stat(b.path("d/f")); return err == nil && fi.ModTime().Equal(when) }},
		{"symlink", func() error { return os.Symlink("f", a.path("d/l")) },
			func() bool { l, err := os.Readlink(b.path("d/l")); return err == nil && l == "f" }},
		{"rename", func() error { return os.Rename(a.path("d/f"), a.path("g")) },
			func() bool {
				_, gone := os.Lstat(b.path("d/f"))
				x, err := os.ReadFile(b.path("g"))
				return errors.Is(gone, os.ErrNotExist) && err == nil && string(x) == "two"
			}},
		{"unlink", func() error { return os.Remove(a.path("g")) },
			func() bool { _, err := os.Lstat(b.path("g")); return errors.Is(err, os.ErrNotExist) }},
		{"rmdir", func() error { return os.RemoveAll(a.path("d")) },
			func() bool { _, err := os.Lstat(b.path("d")); return errors.Is(err, os.ErrNotExist) }},
	}
	for _, s := range steps {
		s.seen() // fill the kernel's caches on b, negative entries too: they have to be told
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		eventually(t, 10*time.Second, s.name+" shows on b", s.seen)
	}
}

// Both versions of a concurrent edit stay, under the same names on both devices.
func TestConcurrentEdits(t *testing.T) {
	a, b := newDevice(t, "a").up(), newDevice(t, "b")
	a.write("plan.txt", []byte("base"))
	a.admit(b)
	b.up()
	b.shows("plan.txt", []byte("base"))
	a.must("down")
	b.write("plan.txt", []byte("edited on b"))
	b.must("down")
	a.up()
	a.write("plan.txt", []byte("edited on a"))
	b.up()
	list := func(d *device) string {
		var lines []string
		es, _ := os.ReadDir(d.mnt)
		for _, e := range es {
			x, _ := os.ReadFile(d.path(e.Name()))
			lines = append(lines, e.Name()+"="+string(x))
		}
		return strings.Join(lines, "\n")
	}
	eventually(t, 20*time.Second, "both show both", func() bool {
		la, lb := list(a), list(b)
		return la == lb && strings.Contains(la, "edited on a") && strings.Contains(la, "edited on b") && strings.Count(la, "\n") == 1
	})
	if l := list(a); !strings.Contains(l, "plan (conflict from ") || !strings.Contains(l, "plan.txt=") {
		t.Errorf("names: %s", l)
	}
}

// Counting: only what is needed moves.
func TestOnlyNeededBlocksMove(t *testing.T) {
	a, b := newDevice(t, "a").up(), newDevice(t, "b")
	a.admit(b)
	b.up()

	const size = 256 << 20
	big := random(11, size)
	a.write("big.bin", big)
	eventually(t, 30*time.Second, "big.bin has its size on b", func() bool {
		fi, err := os.Stat(b.path("big.bin"))
		return err == nil && fi.Size() == size
	})
	f, err := os.Open(b.path("big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := b.status().Transferred.BlocksIn
	buf := make([]byte, 4096)
	for i := range 5 {
		off := int64(i)*50<<20 + 12345
		if _, err := f.ReadAt(buf, off); err != nil || !bytes.Equal(buf, big[off:off+4096]) {
			t.Fatalf("at %d: %v", off, err)
		}
	}
	// Five places, each a block or two (a range may touch a boundary), and the manifest once.
	if n := b.status().Transferred.BlocksIn - before; n < 5 || n > 11 {
		t.Errorf("%d blocks for five random places", n)
	}

	b.must("pin", b.path("big.bin"))
	moved := func(what string, change func(), most int64) {
		t.Helper()
		before := b.status().Transferred.BlocksIn
		change()
		want := readAll(t, a.path("big.bin"))
		eventually(t, 60*time.Second, what+" arrives on b", func() bool {
			got, err := os.ReadFile(b.path("big.bin"))
			return err == nil && bytes.Equal(got, want)
		})
		if n := b.status().Transferred.BlocksIn - before; n > most {
			t.Errorf("%s moved %d blocks, at most %d allowed", what, n, most)
		} else {
			t.Logf("%s moved %d blocks", what, n)
		}
	}
	moved("4 KiB changed", func() {
		g, err := os.OpenFile(a.path("big.bin"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.WriteAt(random(12, 4096), 100<<20); err != nil {
			t.Fatal(err)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}, 3)
	moved("cut to 64 MiB", func() { a.write("big.bin", big[:64<<20]) }, 3)
	moved("one byte inserted in front of 64 MiB", func() { a.write("big.bin", append([]byte{'x'}, big[:64<<20]...)) }, 3)
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Ten thousand files show on a new device, and no content moved for it.
func TestNamespaceOfTenThousandFiles(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t, "a").up(), newDevice(t, "b")
	for i := range 100 {
		dir := a.path(fmt.Sprintf("d%02d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range 100 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%02d.txt", j)), []byte{byte(i), byte(j)}, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.must("sync")
	a.admit(b)
	joined := time.Now()
	b.up()
	eventually(t, 20*time.Second, "10,000 files", func() bool { return b.status().Files == 10_000 })
	t.Logf("10,000 files %v after the join returned", time.Since(joined))
	n := 0
	_ = filepath.Walk(b.mnt, func(_ string, fi os.FileInfo, err error) error {
		if err == nil && fi.Mode().IsRegular() && fi.Size() == 2 {
			n++
		}
		return nil
	})
	if moved := b.status().Transferred.BlocksIn; n != 10_000 || moved != 0 {
		t.Errorf("%d files in a walk, %d blocks moved", n, moved)
	}
}
