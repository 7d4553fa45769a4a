package fstest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/fs/alias"
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

// What is open stays whole when it is removed elsewhere: its bytes, also through a map, and its attributes.
func TestOpenWhileRemovedElsewhere(t *testing.T) {
	c := mounted(t)
	tt := &T{T: t, Sys: OS(c.mnt)}
	tt.write("/f", "bytes")
	tt.mkdir("/d")
	for _, p := range []string{"/f", "/d"} {
		tt.ok(tt.Setxattr(p, "user.old", []byte("old"), 0))
	}
	f := tt.openAttrs("/f", os.O_RDWR).(*osFile)
	d := tt.openAttrs("/d", openDirectory)
	m, err := unix.Mmap(f.fd, 0, 5, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	tt.ok(err)
	defer unix.Munmap(m)
	c.ask("fetch")
	c.ask("unlink", "/f")
	c.ask("rmdir", "/d")
	c.ask("push")
	soon(t, absent, cat(filepath.Join(c.mnt, "f")))
	soon(t, "[]", func() string { return names(c.mnt) })
	c.ask("pass", "1m") // what was found lately is forgotten
	tt.hasAttributes(f, "file")
	tt.hasAttributes(d, "directory")
	if string(m) != "bytes" {
		t.Errorf("the map shows %q", m)
	}
	copy(m, "BYTES")
	tt.ok(unix.Msync(m, unix.MS_SYNC))
	tt.same(tt.pread(f, 0, 9), []byte("BYTES"))
	tt.ok(f.Truncate(3))
	tt.ok(f.Allocate(0, 0, 4))
	tt.same(tt.pread(f, 0, 9), []byte("BYT\x00"))
}

// What was found, and is opened when another device has removed it, has the bytes that it showed last, not
// those that it had when it was found.
func TestOpenAfterRemovedElsewhere(t *testing.T) {
	c := mounted(t)
	sh(t, c.mnt, "echo bytes > mine")
	c.ask("write", "/theirs", "old")
	c.ask("push")
	soon(t, "old", cat(filepath.Join(c.mnt, "theirs")))
	var places []int
	for _, name := range []string{"mine", "theirs"} {
		fd, err := unix.Open(filepath.Join(c.mnt, name), unix.O_PATH, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		places = append(places, fd)
	}
	c.ask("fetch")
	c.ask("write", "/theirs", "newer")
	c.ask("push")
	soon(t, "5 <nil>", func() string {
		var st unix.Stat_t
		err := unix.Fstat(places[1], &st)
		return fmt.Sprint(st.Size, " ", err)
	})
	c.ask("unlink", "/mine")
	c.ask("unlink", "/theirs")
	c.ask("push")
	soon(t, "[]", func() string { return names(c.mnt) })
	for i, want := range []string{"bytes\n", "newer"} {
		if got, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", places[i])); string(got) != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}

// Who stands in a directory that another device removes, or holds a place without having it open, finds it as in a
// local filesystem: empty, without a name, and nothing can be made in it.
func TestStandingInWhatWasRemovedElsewhere(t *testing.T) {
	c := mounted(t)
	at := func(p string) string { return filepath.Join(c.mnt, p) }
	sh(t, c.mnt, "mkdir -m 750 d && echo bytes > f && chmod 640 f")
	stand, err := unix.Open(at("d"), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stand)
	place, err := unix.Open(at("f"), unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(place)
	cmd := exec.Command("sh", "-c", "read x; ls -a; touch new; stat -c '%a %h' .")
	cmd.Dir = at("d")
	in, _ := cmd.StdinPipe()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.ask("pass", "1m") // or the removal would be of what was made a moment before
	c.ask("fetch")
	c.ask("unlink", "/f")
	c.ask("rmdir", "/d")
	c.ask("push")
	soon(t, "[]", func() string { return names(c.mnt) })
	c.ask("pass", "1m") // what was found lately is forgotten
	for fd, mode := range map[int]uint32{stand: unix.S_IFDIR | 0o750, place: unix.S_IFREG | 0o640} {
		soon(t, fmt.Sprintf("%o 0 <nil>", mode), func() string { // the kernel hears of it soon
			var st unix.Stat_t
			err := unix.Fstat(fd, &st)
			return fmt.Sprintf("%o %d %v", st.Mode, st.Nlink, err)
		})
	}
	fmt.Fprintln(in)
	_ = cmd.Wait()
	if got := out.String(); !strings.Contains(got, "No such file") || strings.Contains(got, "Stale") || !strings.HasSuffix(got, "750 0\n") {
		t.Errorf("%s", got)
	}
}

// What the kernel knows below a folder stays known when another device gives that another name.
func TestFolderRenamedElsewhere(t *testing.T) {
	dir := t.TempDir()
	requests, lookups := filepath.Join(dir, "requests"), regexp.MustCompile(`LOOKUP.*(below|file)`)
	c := mountedWith(t, dir, alias.Exact, requestsEnv+"="+requests)
	at := func(p string) string { return filepath.Join(c.mnt, p) }
	sh(t, c.mnt, "mkdir -p old/below && echo bytes > old/below/file")
	asked := func() int {
		b, err := os.ReadFile(requests)
		if err != nil {
			t.Fatal(err)
		}
		return len(lookups.FindAll(b, -1))
	}
	before := asked()
	c.ask("fetch")
	c.ask("rename", "/old", "/new")
	c.ask("push")
	soon(t, "bytes\n", cat(at("new/below/file")))
	if n := asked(); n != before {
		t.Errorf("the kernel asked %d times for what it knew", n-before)
	}
	soon(t, absent, cat(at("old/below/file")))
}

// The kernel keeps listings. One that is read while the directory changes elsewhere is not kept as it
// was, whatever comes first.
func TestListingsAmidChanges(t *testing.T) {
	c := mounted(t)
	c.ask("mkdir", "/dir")
	c.ask("push")
	dir := filepath.Join(c.mnt, "dir")
	soon(t, "[]", func() string { return names(dir) })
	done := make(chan struct{})
	var readers sync.WaitGroup
	defer readers.Wait()
	defer close(done)
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					names(dir)
				}
			}
		})
	}
	var want []string
	for i := range 50 {
		there, here := fmt.Sprintf("a%03d", i), fmt.Sprintf("b%03d", i)
		c.ask("write", "/dir/"+there, "x")
		time.Sleep(25 * time.Millisecond)                                 // the other device has saved it
		if err := os.Mkdir(filepath.Join(dir, here), 0o755); err != nil { // later: the times of dir will not tell
			t.Fatal(err)
		}
		names(dir)
		c.ask("push")
		want = append(want, there, here)
		slices.Sort(want)
		soon(t, fmt.Sprint(want), func() string { return names(dir) })
	}
}

// The number of ".." in a listing follows the directory.
func TestListingKnowsItsParent(t *testing.T) {
	c := mounted(t)
	at := func(p string) string { return filepath.Join(c.mnt, p) }
	sh(t, c.mnt, "mkdir -p a/b c")
	numbers(t, at("a/b"))
	if err := os.Rename(at("a/b"), at("c/b")); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(numbers(t, at("c"))["."])
	soon(t, want, func() string { return fmt.Sprint(numbers(t, at("c/b"))[".."]) })
}

// numbers is what a listing says of inode numbers, those of "." and ".." with them.
func numbers(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf, out := make([]byte, 64<<10), map[string]uint64{}
	for {
		n, err := unix.Getdents(int(f.Fd()), buf)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return out
		}
		for b := buf[:n]; len(b) > 0; b = b[binary.NativeEndian.Uint16(b[16:]):] {
			name, _, _ := bytes.Cut(b[19:], []byte{0})
			out[string(name)] = binary.NativeEndian.Uint64(b)
		}
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

// What is done through the mount needs no word to the kernel, which did it.
func TestOwnChangesAreQuiet(t *testing.T) {
	c := mounted(t)
	sh(t, c.mnt, `
		mkdir d; for i in $(seq 60); do echo $i > d/f$i; done
		cd d; for i in $(seq 30); do mv f$i g$i; chmod 600 g$i; touch -d 2001-01-01 g$i; echo more >> g$i; done
		for i in $(seq 5); do mv g$i f4$i; ln g2$i h$i; ln -s g2$i s$i; done
		setfattr -n user.a -v b g20 2>/dev/null || true
		rm g1* h* s*; cd ..; mv d e; cp -r e f; rm -r e; sync f/*; sleep 0.1`)
	if got := c.ask("foreign"); got != "0" {
		t.Errorf("%s batches of changes were taken for another's", got)
	}
}

// Before a shell writes to where it redirects, it has opened, emptied and closed the file.
func TestRedirectionOfAShell(t *testing.T) {
	c := mounted(t)
	sh(t, c.mnt, "printf one > f")
	c.ask("fetch")
	cmd := exec.Command("sh", "-c", "(read x; printf two) > f")
	cmd.Dir = c.mnt
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	soon(t, "", cat(filepath.Join(c.mnt, "f")))
	time.Sleep(100 * time.Millisecond)
	c.ask("peek")
	if got := c.ask("read", "/f"); got != "one" {
		t.Errorf("the other device shows %q while the shell has written nothing yet", got)
	}
	fmt.Fprintln(in)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	c.ask("fetch")
	if got := c.ask("read", "/f"); got != "two" {
		t.Errorf("the other device shows %q", got)
	}
}
