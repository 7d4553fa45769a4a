//go:build linux

package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// named is /bin/cat under another name.
func named(t *testing.T, name string) string {
	t.Helper()
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(cat)
	if err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

// reads runs a program on a file and returns what it wrote and what it complained of.
func reads(program string, args ...string) (out []byte, complaint string, err error) {
	var o, e bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.Bytes(), e.String(), err
}

// with is two devices; files are on the first, and the second has settings.
func with(t *testing.T, settings string, files map[string][]byte) (a, b *device) {
	t.Helper()
	a, b = newDevice(t, "a").up(), newDevice(t, "b")
	for name, data := range files {
		a.write(name, data)
	}
	a.admit(b)
	b.settings(settings)
	b.must("down") // what joined runs without the settings
	b.up()
	for name, data := range files {
		b.hasSize(name, int64(len(data)))
	}
	return a, b
}

type ledger struct {
	Runs []struct {
		Run             uint64
		Program, Parent string
		PID             uint32
		Action          string
		Sweep           bool
		Files           int64
		Read            int64 `json:"read_bytes"`
		Ahead           int64 `json:"ahead_bytes"`
		Refused         int64 `json:"refused_reads"`
		From            []sent
		Items           []struct {
			Path string
			Read int64 `json:"read_bytes"`
			From []sent
		}
	}
}

// sent is what one device sent.
type sent struct {
	Name  string
	Bytes int64
}

func (d *device) ledger(args ...string) (l ledger) {
	d.t.Helper()
	d.decode(&l, append([]string{"ledger", "--json"}, args...)...)
	return l
}

// A program on the list is refused without one block moving, told why, and gets what is here; what it
// starts is refused like itself; others read.
func TestAnIndexerBringsNothing(t *testing.T) {
	data := random(1, 3<<20)
	a, b := elsewhere(t, len(data), nil)
	updatedb := named(t, "updatedb")
	refused := func(program string, args ...string) {
		t.Helper()
		out, complaint, err := reads(program, args...)
		if err == nil || len(out) > 0 || !strings.Contains(complaint, "Permission denied") {
			t.Errorf("%s got %d bytes, and %q", program, len(out), complaint)
		}
		if n := b.status().Transferred.BlocksIn; n != 0 {
			t.Errorf("%d blocks moved for %s", n, program)
		}
	}
	refused(updatedb, b.path("file"))
	if out := b.must("why", b.path("file")); !strings.Contains(out, "updatedb") || !strings.Contains(out, "a file indexer") || !strings.Contains(out, "config.toml") {
		t.Errorf("why: %s", out)
	}
	why := make([]byte, 1024)
	if n, err := unix.Getxattr(b.path("file"), "user.shelf.why", why); err != nil || !strings.Contains(string(why[:max(n, 0)]), "updatedb") {
		t.Errorf("user.shelf.why: %q %v", why[:max(n, 0)], err)
	}

	script := filepath.Join(t.TempDir(), "restic")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ncat \"$1\"\nexit $?\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	refused(script, b.path("file"))

	if l := b.ledger("--program", "updatedb"); len(l.Runs) != 1 || l.Runs[0].Refused == 0 || l.Runs[0].Files != 0 || l.Runs[0].Action != "refuse" || l.Runs[0].PID == 0 {
		t.Errorf("ledger: %+v", l)
	}
	out, complaint, err := reads("cat", b.path("file"))
	if err != nil || !bytes.Equal(out, data) {
		t.Fatalf("cat got %d bytes: %v, %s", len(out), err, complaint)
	}
	if l := b.ledger(b.path("file")); len(l.Runs) != 1 || l.Runs[0].Program != "cat" || l.Runs[0].Read+l.Runs[0].Ahead < int64(len(data)) || l.Runs[0].Items[0].Path != "/file" {
		t.Errorf("ledger: %+v", l)
	} else if from := l.Runs[0].From; len(from) != 1 || from[0].Name != a.name || from[0].Bytes < int64(len(data)) || !slices.Equal(from, l.Runs[0].Items[0].From) {
		t.Errorf("senders: %+v", l)
	}
	b.completes("file")
	dropPages(t, b.path("file"))
	if out, complaint, err := reads(updatedb, b.path("file")); err != nil || !bytes.Equal(out, data) {
		t.Errorf("what is here: %d bytes, %v %s", len(out), err, complaint)
	}
}

// completes waits until all of a file that was read is in the cache: a reader has its bytes before.
func (d *device) completes(name string) {
	d.t.Helper()
	eventually(d.t, 10*time.Second, name+" is all here", func() bool { return d.pathStatus(d.path(name)).Complete })
}

// dropPages has the kernel forget what it has of a file.
func dropPages(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}

// The owner's rules go before the program's own.
func TestTheOwnersPoliciesGoFirst(t *testing.T) {
	data := random(1, 1<<20)
	_, b := with(t, `
[[policy]]
program = "updatedb"
action = "allow"
[[policy]]
program = "nosy*"
action = "refuse"
`, map[string][]byte{"one": data, "two": data[1:]})
	if out, _, err := reads(named(t, "updatedb"), b.path("one")); err != nil || !bytes.Equal(out, data) {
		t.Errorf("%d bytes: %v", len(out), err)
	}
	if _, complaint, err := reads(named(t, "nosybody"), b.path("two")); err == nil || !strings.Contains(complaint, "Permission denied") {
		t.Errorf("%v %s", err, complaint)
	}
}

// A budget lets a program read until it is used up.
func TestABudgetIsUsedUp(t *testing.T) {
	files := map[string][]byte{}
	for i := range 4 {
		files[strconv.Itoa(i)] = random(uint64(i), 700<<10)
	}
	_, b := with(t, "[[policy]]\nprogram = \"scanner\"\naction = \"budget\"\nbytes = \"1MiB\"\n", files)
	scanner := named(t, "scanner")
	got := 0
	for i := range 4 {
		if out, _, err := reads(scanner, b.path(strconv.Itoa(i))); err == nil && bytes.Equal(out, files[strconv.Itoa(i)]) {
			got++
		} else if s := b.pathStatus(b.path(strconv.Itoa(i))); i > 1 && s.LocalBytes != 0 {
			t.Errorf("%d bytes of %d came all the same", s.LocalBytes, i)
		}
	}
	if got < 1 || got > 2 {
		t.Errorf("%d files of 700 KiB with a budget of 1 MiB", got)
	}
	if _, _, err := reads("cat", b.path("3")); err != nil {
		t.Errorf("cat: %v", err)
	}
}

// readerEnv makes this test binary a program that reads the beginning of a file in order, says so and
// then holds the file open until its standard input ends. Its arguments: file, bytes.
const readerEnv = "SHELF_SCENARIO_READER"

func readAndHold(args []string) int {
	n, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		panic(err)
	}
	f, err := os.Open(args[0])
	if err == nil {
		_, err = io.CopyN(io.Discard, f, n)
	}
	fmt.Println("read", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// holding runs this test binary, under a name, on a file, and calls then while it holds it open.
func holding(t *testing.T, name, path string, n int, then func()) {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(self, program); err != nil {
		if out, err := exec.Command("cp", self, program).CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
	}
	cmd := exec.Command(program, path, strconv.Itoa(n))
	cmd.Env = append(os.Environ(), readerEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	k, _ := out.Read(line)
	if got := strings.TrimSpace(string(line[:k])); got != "read <nil>" {
		t.Errorf("%s: %s", name, got)
	}
	then()
	_ = in.Close()
	_ = cmd.Wait()
}

// Who is let in for exactly what it reads has nothing read ahead for it.
func TestExactBringsNoReadAhead(t *testing.T) {
	const size, part = 48 << 20, 6 << 20
	_, b := with(t, "[[policy]]\nprogram = \"peek\"\naction = \"exact\"\n", map[string][]byte{"one": random(1, size), "two": random(2, size)})
	local := func(name string) int64 { return b.pathStatus(b.path(name)).LocalBytes }
	holding(t, "other", b.path("one"), part, func() {
		eventually(t, 20*time.Second, "the rest is read ahead", func() bool { return local("one") > 2*part })
	})
	holding(t, "peek", b.path("two"), part, func() {
		// The kernel reads ahead 1 MiB or 2 by itself, and blocks come whole.
		eventually(t, 20*time.Second, "what was read is in the cache", func() bool { return local("two") >= part })
		if n := local("two"); n > part+4<<20 {
			t.Errorf("%d bytes came for %d", n, part)
		}
	})
	for _, r := range b.ledger().Runs {
		if (r.Ahead > 0) != (r.Program == "other") {
			t.Errorf("%s: %d bytes ahead", r.Program, r.Ahead)
		}
	}
}

// What a run brought is freed, and nothing else.
func TestUndoingARun(t *testing.T) {
	one, two, kept := random(1, 3<<20), random(2, 3<<20), random(3, 3<<20)
	_, b := with(t, "", map[string][]byte{"one": one, "two": two, "kept": kept})
	b.must("pin", b.path("kept"))
	if _, _, err := reads(named(t, "nosy"), b.path("one"), b.path("kept")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := reads("cat", b.path("two")); err != nil {
		t.Fatal(err)
	}
	b.completes("one")
	b.completes("two")
	if l := b.ledger("--program", "shelf pin"); len(l.Runs) != 1 || len(l.Runs[0].From) != 1 || l.Runs[0].From[0].Name != "a" || l.Runs[0].From[0].Bytes < int64(len(kept)) {
		t.Errorf("ledger of the pin: %+v", l)
	}
	l := b.ledger("--program", "nosy")
	if len(l.Runs) != 1 || l.Runs[0].Files != 1 || l.Runs[0].Items[0].Path != "/one" {
		t.Fatalf("ledger: %+v", l)
	}
	b.must("ledger", "undo", strconv.FormatUint(l.Runs[0].Run, 10))
	for name, want := range map[string]bool{"one": false, "two": true, "kept": true} {
		if s := b.pathStatus(b.path(name)); s.Complete != want || !want && s.LocalBytes != 0 || name == "one" && s.Placement != "automatic" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	dropPages(t, b.path("one"))
	b.shows("one", one) // it comes back
	if out, code := b.try("ledger", "undo", "99999"); code != 4 {
		t.Errorf("exit %d: %s", code, out)
	}
}

// The ledger outlives the daemon.
func TestTheLedgerStays(t *testing.T) {
	_, b := elsewhere(t, 1<<20, nil)
	if _, _, err := reads("cat", b.path("file")); err != nil {
		t.Fatal(err)
	}
	before := b.ledger()
	b.must("down")
	b.up()
	if after := b.ledger(); len(before.Runs) != 1 || len(after.Runs) != 1 || after.Runs[0].Run != before.Runs[0].Run || after.Runs[0].Read == 0 {
		t.Errorf("%+v, then %+v", before, after)
	}
}

// A rule about waiting ends a wait before that of others, and says so.
func TestAProgramWaitsAsLongAsItsPolicySays(t *testing.T) {
	a, b := with(t, "[[policy]]\nprogram = \"hasty\"\naction = \"allow\"\nwait = \"500ms\"\n", map[string][]byte{"file": random(1, 1<<20)})
	stopped(t, a, func() {
		_, complaint, err := reads(named(t, "hasty"), b.path("file"))
		if err == nil || !strings.Contains(complaint, syscall.ETIMEDOUT.Error()) && !strings.Contains(complaint, "timed out") {
			t.Errorf("%v: %s", err, complaint)
		}
		if out := b.must("why", b.path("file")); !strings.Contains(out, "hasty") {
			t.Errorf("why: %s", out)
		}
	})
	if out, _, err := reads("cat", b.path("file")); err != nil || len(out) != 1<<20 {
		t.Errorf("cat: %v", errors.Join(err))
	}
}

// du tells what is here and what would have to come, and brings nothing.
func TestDuTellsWhatItTakes(t *testing.T) {
	a, b := with(t, "", map[string][]byte{"f/one": random(1, 3<<20), "f/two": random(2, 5<<20)})
	type usage struct {
		Items []struct {
			Files, Bytes int64
			Local        int64 `json:"local_bytes"`
			Fetch        *struct {
				Files, Bytes int64
				AwayBytes    int64 `json:"away_bytes"`
				Seconds      *float64
			}
		}
	}
	var u usage
	b.decode(&u, "du", "--json", b.path("f"))
	if it := u.Items[0]; it.Files != 2 || it.Bytes != 8<<20 || it.Local != 0 || it.Fetch != nil {
		t.Errorf("%+v", u)
	}
	b.read("f/one")
	b.completes("f/one")
	b.decode(&u, "du", "--fetch", "--json", b.path("f"))
	if it := u.Items[0]; it.Local != 3<<20 || it.Fetch == nil || it.Fetch.Files != 1 || it.Fetch.Bytes != 5<<20 || it.Fetch.AwayBytes != 0 || it.Fetch.Seconds == nil || *it.Fetch.Seconds <= 0 {
		t.Errorf("%+v %+v", u, u.Items[0].Fetch)
	}
	if s := b.pathStatus(b.path("f/two")); s.LocalBytes != 0 {
		t.Errorf("du brought %d bytes", s.LocalBytes)
	}
	a.must("down")
	eventually(t, 20*time.Second, "the other device is missed", func() bool {
		b.decode(&u, "du", "--fetch", "--json", b.path("f"))
		return u.Items[0].Fetch.AwayBytes == 5<<20 && u.Items[0].Fetch.Seconds == nil
	})
}
