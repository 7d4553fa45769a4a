//go:build linux

package scenario

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// settle lets what was written last longer than what leaves no history.
func settle() { time.Sleep(2200 * time.Millisecond) }

// gone waits until a path is not shown any more.
func (d *device) gone(name string) {
	d.t.Helper()
	eventually(d.t, 10*time.Second, name+" is gone on "+d.name, func() bool {
		_, err := os.Lstat(d.path(name))
		return errors.Is(err, os.ErrNotExist)
	})
}

func (d *device) removeAll(name string) {
	d.t.Helper()
	if err := os.RemoveAll(d.path(name)); err != nil {
		d.t.Fatal(err)
	}
}

// What was overwritten, deleted or swept away with its folder comes back, on any device, also after a
// restart; a burst is undone as one; and the past can be looked at with ordinary programs.
func TestHistory(t *testing.T) {
	a, b := newDevice(t, "a").up(), newDevice(t, "b")
	photo, secret := random(1, 700<<10), random(2, 300<<10)
	project := map[string][]byte{"project/main.go": []byte("package main"), "project/sub/deep": []byte("deep"), "project/sub/more/x": random(3, 100<<10)}
	a.write("f", []byte("one"))
	a.write("photo.jpg", photo)
	a.write("secret", secret)
	for name, data := range project {
		a.write(name, data)
	}
	a.admit(b)
	b.up()
	both := func(name string, data []byte) {
		t.Helper()
		a.shows(name, data)
		b.shows(name, data)
	}
	whole := func() {
		t.Helper()
		for name, data := range project {
			both(name, data)
		}
	}
	b.shows("f", []byte("one"))
	settle()
	then := time.Now().Truncate(time.Second)
	time.Sleep(time.Until(then.Add(time.Second)))

	// overwritten
	a.write("f", []byte("two, longer"))
	b.shows("f", []byte("two, longer"))
	var v struct {
		Versions []struct{ ID, Ended, By string }
	}
	for _, d := range []*device{a, b} {
		d.decode(&v, "versions", "--json", d.path("f"))
		if len(v.Versions) != 2 || v.Versions[1].Ended != "overwritten" || v.Versions[1].By != "a" {
			t.Errorf("%s: %+v", d.name, v)
		}
	}
	b.must("restore", b.path("f")+"@"+v.Versions[1].ID)
	both("f", []byte("one"))

	// deleted, and brought back where the bytes never were
	a.removeAll("photo.jpg")
	b.gone("photo.jpg")
	if out := b.must("ls", "--removed", b.mnt); !strings.Contains(out, "photo.jpg") {
		t.Errorf("removed:\n%s", out)
	}
	b.must("restore", b.path("photo.jpg"))
	both("photo.jpg", photo)

	// a whole folder, and all daemons killed since
	a.removeAll("project")
	b.gone("project")
	a.kill()
	b.kill()
	a.up()
	b.up()
	connected(t, b)
	b.must("restore", b.path("project"))
	whole()

	// a burst, undone as one
	time.Sleep(5200 * time.Millisecond) // what was done before is another one
	b.write("f", []byte("three"))
	b.removeAll("project")
	a.gone("project")
	var plan, done struct {
		Files int64
		Items []struct {
			Path    string
			Refused any
		}
	}
	b.decode(&plan, "undo", "--burst", "--dry-run", "--json")
	if _, err := os.Stat(b.path("project")); err == nil {
		t.Error("a dry run did something")
	}
	b.decode(&done, "undo", "--burst", "--json")
	if done.Files != 4 || len(plan.Items) != len(done.Items) {
		t.Errorf("planned %+v\ndone %+v", plan, done)
	}
	whole()
	both("f", []byte("one"))

	// the past, by ordinary programs
	past := filepath.Join(a.mnt, ".shelf", "history", then.Format("2006-01-02T15:04:05"))
	for name, data := range project {
		if got, err := os.ReadFile(filepath.Join(past, name)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s was %d bytes, %v", name, len(got), err)
		}
	}
	run(t, "grep", "-rq", "package main", past)
	if err := os.WriteFile(filepath.Join(past, "new"), nil, 0o644); !errors.Is(err, syscall.EROFS) {
		t.Errorf("writing into the past: %v", err)
	}
	if times, err := os.ReadDir(filepath.Join(a.mnt, ".shelf", "history")); err != nil || len(times) == 0 {
		t.Errorf("%v, %v", times, err)
	}
	entries, err := os.ReadDir(a.mnt)
	if err != nil || len(entries) != 4 {
		t.Errorf("the root lists %v, %v", entries, err)
	}

	// what nobody who is there has is refused, and nothing is done
	a.removeAll("secret")
	b.gone("secret")
	a.must("down")
	if out, code := b.try("restore", b.path("secret")); code != 6 {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if _, err := os.Stat(b.path("secret")); err == nil {
		t.Error("there is a file without bytes")
	}
	a.up()
	connected(t, b)
	b.must("restore", b.path("secret"))
	both("secret", secret)
}

func connected(t *testing.T, d *device) {
	t.Helper()
	eventually(t, 20*time.Second, d.name+" is connected", func() bool {
		for _, p := range d.status().Peers {
			if !p.Connected {
				return false
			}
		}
		return true
	})
}
