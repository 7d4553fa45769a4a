package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon waits until got returns want. What another device did must show within
// milliseconds of its arrival; the limit is generous because test machines are not.
func soon(t *testing.T, want string, got func() string) {
	t.Helper()
	var last string
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if last = got(); last == want {
			return
		}
	}
	t.Fatalf("still %q, want %q", last, want)
}

// cat is the content of a file, or why it cannot be read.
func cat(p string) func() string {
	return func() string {
		b, err := os.ReadFile(p)
		if err != nil {
			return errors.Unwrap(err).Error()
		}
		return string(b)
	}
}

const absent = "no such file or directory"

func TestRemoteChangesShow(t *testing.T) {
	c := mounted(t)
	at := func(p string) string { return filepath.Join(c.mnt, p) }
	step := func(args ...string) { t.Helper(); c.ask(args...); c.ask("push") }

	// A name that the kernel remembers not to exist.
	if got := cat(at("new"))(); got != absent {
		t.Fatal(got)
	}
	step("write", "/new", "first")
	soon(t, "first", cat(at("new")))

	// Bytes in the page cache of an open file, longer and shorter.
	f, err := os.Open(at("new"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, body := range []string{"a second, longer text", "3", "fourth"} {
		step("write", "/new", body)
		soon(t, body, cat(at("new")))
		soon(t, body, func() string {
			b := make([]byte, 100)
			n, _ := f.ReadAt(b, 0)
			return string(b[:n])
		})
	}

	// Attributes.
	step("chmod", "/new")
	soon(t, "-rw-------", func() string { fi, _ := os.Stat(at("new")); return fi.Mode().String() })

	// Listings and renames.
	step("mkdir", "/dir")
	soon(t, "[dir new]", func() string { return names(c.mnt) })
	step("rename", "/new", "/dir/moved")
	soon(t, absent, cat(at("new")))
	soon(t, "fourth", cat(at("dir/moved")))
	soon(t, "[moved]", func() string { return names(at("dir")) })

	// A directory somebody stands in keeps working when it is renamed.
	cmd := exec.Command("sh", "-c", "read x; cat moved; read x; cat moved 2>&1; pwd >/dev/null")
	cmd.Dir = at("dir")
	in, _ := cmd.StdinPipe()
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	step("rename", "/dir", "/elsewhere")
	soon(t, "fourth", cat(at("elsewhere/moved")))
	fmt.Fprintln(in)
	soon(t, "fourth", out.String)

	// Removal.
	step("unlink", "/elsewhere/moved")
	soon(t, absent, cat(at("elsewhere/moved")))
	step("rmdir", "/elsewhere")
	soon(t, "[]", func() string { return names(c.mnt) })
	fmt.Fprintln(in)
	cmd.Wait()
	if !strings.Contains(out.String(), "No such file") {
		t.Errorf("in the removed directory: %q", out.String())
	}
	// The old bytes of an open file stay readable as long as they are in reach.
	if st, err := f.Stat(); err == nil && st.Size() != 6 {
		t.Errorf("open file: %+v", st)
	}
}

func names(dir string) string {
	es, err := os.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	out := []string{}
	for _, e := range es {
		out = append(out, e.Name())
	}
	return fmt.Sprint(out)
}

// What happens on this device beside the mount shows too.
func TestLocalChangesShow(t *testing.T) {
	c := mounted(t)
	p := filepath.Join(c.mnt, "a")
	if err := os.WriteFile(p, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	c.ask("kill", "/a")
	soon(t, absent, cat(p))
}

func TestConcurrentEditsBothStay(t *testing.T) {
	c := mounted(t)
	p := filepath.Join(c.mnt, "doc.txt")
	if err := os.WriteFile(p, []byte("base"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.ask("fetch")
	f, err := os.OpenFile(p, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("here"), 0); err != nil { // unsaved when the other's arrives
		t.Fatal(err)
	}
	c.ask("write", "/doc.txt", "there")
	c.ask("push")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	c.ask("fetch")
	soon(t, "[here there]", func() string {
		es, _ := os.ReadDir(c.mnt)
		bodies := map[string]bool{}
		for _, e := range es {
			bodies[cat(filepath.Join(c.mnt, e.Name()))()] = true
		}
		if bodies["here"] && bodies["there"] && len(es) == 2 {
			return "[here there]"
		}
		return fmt.Sprint(bodies, len(es))
	})
	copies, _ := filepath.Glob(c.mnt + "/doc (conflict from *")
	if len(copies) != 1 {
		t.Errorf("copies: %q", copies)
	}
}

func TestMmap(t *testing.T) {
	c := mounted(t)
	p := filepath.Join(c.mnt, "a")
	want := random(1, 1<<20)
	if err := os.WriteFile(p, want, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(p, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, len(want), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m, want) {
		t.Fatal("the map shows other bytes")
	}
	for i := 0; i < len(m); i += 5000 {
		m[i] ^= 0xff
		want[i] ^= 0xff
	}
	if err := unix.Msync(m, unix.MS_SYNC); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(p)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("after msync: %v", err)
	}
	f.Close() // the map outlives the descriptor
	m[77], want[77] = 1, 1
	if err := unix.Munmap(m); err != nil {
		t.Fatal(err)
	}
	soon(t, "same", func() string {
		got, _ := os.ReadFile(p)
		if bytes.Equal(got, want) {
			return "same"
		}
		return "different"
	})
	c.quit()
	again := mountedAt(t, c.dir)
	if got, err := os.ReadFile(filepath.Join(again.mnt, "a")); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("after a restart: %v", err)
	}
}

// What fsync promised is there after a crash, and the mount is mended.
func TestCrash(t *testing.T) {
	c := mounted(t)
	synced := random(1, 600<<10)
	f, err := os.Create(filepath.Join(c.mnt, "synced"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(synced); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(random(2, 20<<20)); err != nil { // partly sealed, never committed
		t.Fatal(err)
	}
	c.kill()
	if _, err := os.Stat(filepath.Join(c.mnt, "synced")); !errors.Is(err, syscall.ENOTCONN) && !errors.Is(err, syscall.ECONNABORTED) {
		t.Errorf("a dead mount says %v", err)
	}
	f.Close()
	again := mountedAt(t, c.dir)
	got, err := os.ReadFile(filepath.Join(again.mnt, "synced"))
	if err != nil || !bytes.Equal(got, synced) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

// Closed files are committed soon, in order, though nobody waits.
func TestCloseIsEnough(t *testing.T) {
	c := mounted(t)
	for i := range 50 {
		if err := os.WriteFile(filepath.Join(c.mnt, fmt.Sprint("f", i)), random(int64(i), 5000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(500 * time.Millisecond)
	c.kill()
	again := mountedAt(t, c.dir)
	for i := range 50 {
		got, err := os.ReadFile(filepath.Join(again.mnt, fmt.Sprint("f", i)))
		if err != nil || !bytes.Equal(got, random(int64(i), 5000)) {
			t.Fatalf("file %d: %d bytes, %v", i, len(got), err)
		}
	}
}

// A reader that waits for another device can be killed, and a signal ends its wait.
func TestWaitCanBeEnded(t *testing.T) {
	c := mounted(t)
	c.ask("write", "/far", strings.Repeat("far away ", 100))
	c.ask("cut")
	c.ask("push")
	p := filepath.Join(c.mnt, "far")
	soon(t, "900", func() string {
		fi, err := os.Stat(p)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(fi.Size())
	})
	cmd := exec.Command("cat", p)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	cmd.Process.Kill()
	cmd.Wait()
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("killed after %v", d)
	}
}

func TestBusyUnmountNamesTheProgram(t *testing.T) {
	c := mounted(t)
	cmd := exec.Command("sleep", "60")
	cmd.Dir = c.mnt
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if err := c.in.Encode([]string{"unmount"}); err != nil {
		t.Fatal(err)
	}
	line, err := c.out.ReadString('\n')
	if err != nil || !strings.Contains(line, "sleep") || !strings.Contains(line, fmt.Sprint(cmd.Process.Pid)) || !strings.Contains(line, "busy") {
		t.Errorf("%q %v", line, err)
	}
}

// Nothing is kept of files that the kernel has forgotten.
func TestForgetting(t *testing.T) {
	c := mounted(t)
	sh(t, c.mnt, "mkdir d; cd d; for i in $(seq 300); do : > f$i; done; ls -l > /dev/null")
	before := c.ask("inodes")
	if os.Geteuid() != 0 {
		t.Skip("only root can make the kernel forget")
	}
	sh(t, "/", "sync; echo 3 > /proc/sys/vm/drop_caches")
	soon(t, "few", func() string {
		var n int
		fmt.Sscan(c.ask("inodes"), &n)
		if n < 20 {
			return "few"
		}
		return fmt.Sprint(n, " of ", before)
	})
	sh(t, c.mnt, "test $(ls d | wc -l) = 300")
}

// O_SYNC writes are durable when they return.
func TestSyncWrites(t *testing.T) {
	c := mounted(t)
	f, err := os.OpenFile(filepath.Join(c.mnt, "a"), os.O_CREATE|os.O_WRONLY|os.O_SYNC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("durable")); err != nil {
		t.Fatal(err)
	}
	c.kill()
	f.Close()
	again := mountedAt(t, c.dir)
	if got := cat(filepath.Join(again.mnt, "a"))(); got != "durable" {
		t.Errorf("%q", got)
	}
}
