package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/shelffs/shelf/fs/davfs"
	"github.com/shelffs/shelf/internal/errs"
)

// davServer serves one device.
func davServer(t *testing.T, s setup) (*device, *davSys) {
	d := newDevice(t, s)
	srv := httptest.NewServer(davfs.NewHandler(d.fs, self(), slog.New(slog.DiscardHandler)))
	t.Cleanup(srv.Close)
	return d, &davSys{http: srv.Client(), base: srv.URL}
}

// litmusExceptions are what golang.org/x/net/webdav does not do.
var litmusExceptions = map[string]string{
	"propfind_invalid2":     "encoding/xml takes a wrong declaration of a namespace",
	"fail_complex_cond_put": "of an If header with several conditions not all is understood",
	"lock_shared":           "no shared locks",
}

// TestLitmus runs the WebDAV test programs of that name, which know nothing of Shelf.
func TestLitmus(t *testing.T) {
	bin, err := exec.LookPath("litmus")
	if err != nil {
		t.Fatal("litmus is not installed: make prepare-tests")
	}
	_, dav := davServer(t, setup{n: 1})
	cmd := exec.Command(bin, "-k", dav.base+"/")
	cmd.Dir = t.TempDir() // it writes a log
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if name := litmusName(line); strings.Contains(line, "FAIL") && litmusExceptions[name] == "" {
			t.Error(strings.TrimSpace(line))
		}
	}
	if err != nil || !strings.Contains(string(out), "summary for `locks'") {
		t.Errorf("%v\n%s", err, out)
	}
}

// litmusName is the test that a line tells of: "10. move_coll............. FAIL (…)".
func litmusName(line string) string {
	_, rest, _ := strings.Cut(line, ". ")
	name, _, _ := strings.Cut(strings.TrimSpace(rest), ".")
	return name
}

// broken gives some bytes and then fails.
type broken struct{ n int }

func (b *broken) Read(p []byte) (int, error) {
	if b.n == 0 {
		return 0, errors.New("the line is cut")
	}
	n := min(b.n, len(p))
	b.n -= n
	return n, nil
}

// An upload that breaks off leaves what was there before, and no file where there was none.
func TestDAVUploadIsWholeOrNothing(t *testing.T) {
	d, dav := davServer(t, setup{n: 1})
	was := random(1, 3<<20)
	if err := (&davFile{s: dav, p: "/kept"}).put(was); err != nil {
		t.Fatal(err)
	}
	before, err := dav.Lstat("/kept")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/kept", "/new"} {
		req, _ := http.NewRequest(http.MethodPut, dav.base+name, &broken{2 << 20})
		req.ContentLength = 4 << 20
		if resp, err := dav.http.Do(req); err == nil {
			t.Errorf("%s: a broken upload is answered with %s", name, resp.Status)
		}
	}
	got, err := (&davFile{s: dav, p: "/kept"}).get()
	if err != nil || !bytes.Equal(got, was) {
		t.Errorf("the file is another one: %d bytes, %v", len(got), err)
	}
	if now, err := dav.Lstat("/kept"); err != nil || now != before {
		t.Errorf("%+v became %+v, %v", before, now, err)
	}
	if names, err := dav.ReadDir("/"); err != nil || fmt.Sprint(names) != "[kept]" {
		t.Errorf("%v is there, %v", names, err)
	}
	if n := d.fs.Stats().UnsavedBytes; n != 0 {
		t.Errorf("%d bytes of it are kept", n)
	}
}

// A replaced file stays the same file.
func TestDAVReplacingKeepsTheFile(t *testing.T) {
	d, dav := davServer(t, setup{n: 1})
	f := &davFile{s: dav, p: "/f"}
	for _, body := range []string{"one", "another"} {
		if err := f.put([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	core := Core(d.fs, self(), "")
	first, err := core.Lstat("/f")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.put([]byte("the third")); err != nil {
		t.Fatal(err)
	}
	if now, err := core.Lstat("/f"); err != nil || now.Ino != first.Ino || now.Size != 9 {
		t.Errorf("%+v became %+v, %v", first, now, err)
	}
	if err := (&davFile{s: dav, p: "/g"}).put([]byte("moved")); err != nil {
		t.Fatal(err)
	}
	if err := dav.Rename("/g", "/f", Replace); err != nil {
		t.Fatal(err)
	}
	if got, err := f.get(); string(got) != "moved" {
		t.Errorf("%q, %v", got, err)
	}
}

// What cannot be had is said at once, or the connection ends: never is a part taken for all. To look
// at names and attributes fetches nothing.
func TestDAVBlocksOutOfReach(t *testing.T) {
	there := newDevice(t, setup{n: 2})
	d, dav := davServer(t, setup{n: 1})
	join(d, there)
	body := random(2, 8<<20)
	f, err := Core(there.fs, self(), "").Open("/far", os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	for off := 0; off < len(body); off += 1 << 20 {
		if _, err := f.Pwrite(body[off:off+1<<20], int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{f.Close(), there.fs.Sync(t.Context()), d.pull(there)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	reach := func(err error) {
		d.blocks.mu.Lock()
		defer d.blocks.mu.Unlock()
		d.blocks.refuse = err
	}
	reach(errs.E("test", errs.Offline, "", nil))
	if names, err := dav.ReadDir("/"); err != nil || fmt.Sprint(names) != "[far]" {
		t.Error(names, err)
	}
	if _, err := dav.do(http.MethodHead, "/far", nil, nil); err != nil {
		t.Error(err)
	}
	if n := d.blocks.far; n != 0 {
		t.Errorf("looking brought %d blocks", n)
	}
	far := &davFile{s: dav, p: "/far"}
	if _, err := far.get(); !errors.Is(err, syscall.EHOSTDOWN) {
		t.Error("nobody is there:", err)
	}
	reach(nil)
	if got, err := dav.do(http.MethodGet, "/far", nil, map[string]string{"Range": "bytes=-10"}); err != nil || !bytes.Equal(got, body[len(body)-10:]) {
		t.Errorf("the last 10 bytes: %x, %v", got, err)
	}
	if d.blocks.far > 4 { // two manifests, a block or two
		t.Errorf("10 bytes brought %d blocks", d.blocks.far)
	}
	if _, err := dav.do(http.MethodGet, "/far", nil, map[string]string{"Range": "bytes=0-9"}); err != nil {
		t.Fatal(err)
	}
	reach(errs.E("test", errs.Offline, "", nil))
	if got, err := far.get(); err == nil {
		t.Errorf("%d bytes are taken for all", len(got))
	}
	reach(nil)
	if got, err := far.get(); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Whoever is to be stopped by If-Match and If-None-Match is.
func TestDAVPreconditions(t *testing.T) {
	_, dav := davServer(t, setup{n: 1})
	put := func(body, head, value string) (tag string, code int) {
		req, _ := http.NewRequest(http.MethodPut, dav.base+"/f", strings.NewReader(body))
		if head != "" {
			req.Header.Set(head, value)
		}
		resp, err := dav.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header.Get("ETag"), resp.StatusCode
	}
	one, code := put("one", "If-None-Match", "*")
	if code != http.StatusCreated {
		t.Fatal(code)
	}
	if _, code := put("two", "If-None-Match", "*"); code != http.StatusPreconditionFailed {
		t.Error("it is there, and was made:", code)
	}
	two, code := put("two", "If-Match", one)
	if code != http.StatusCreated || two == one {
		t.Error(code, one, two)
	}
	if _, code := put("lost", "If-Match", one); code != http.StatusPreconditionFailed {
		t.Error("another version was overwritten:", code)
	}
	resp, err := dav.http.Get(dav.base + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != "two" || resp.Header.Get("ETag") != two {
		t.Errorf("%q with %s, want two with %s", got, resp.Header.Get("ETag"), two)
	}
}

// Symlinks show as the files that they lead to, as long as that is in the share, and a folder with
// one that leads back ends somewhere.
func TestDAVSymlinks(t *testing.T) {
	d, dav := davServer(t, setup{n: 1})
	core := Core(d.fs, self(), "")
	for _, err := range []error{
		core.Mkdir("/d", 0o755), (&davFile{s: dav, p: "/d/f"}).put([]byte("body")),
		core.Symlink("d/f", "/file"), core.Symlink("../file", "/d/chain"), core.Symlink("d", "/dir"), core.Symlink("..", "/d/up"),
		core.Symlink("/etc/passwd", "/out"), core.Symlink("loop", "/loop"), core.Symlink("none", "/dangling"), core.Mkfifo("/fifo", 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string]string{"/": "[d file]", "/d": "[chain f]"} {
		names, err := dav.ReadDir(dir)
		slices.Sort(names)
		if err != nil || fmt.Sprint(names) != want {
			t.Errorf("%s shows %v, %v, want %s", dir, names, err, want)
		}
	}
	for _, name := range []string{"/file", "/d/chain"} {
		if got, err := (&davFile{s: dav, p: name}).get(); string(got) != "body" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"/dir", "/out", "/loop", "/dangling", "/fifo", "/d/up"} {
		if _, err := dav.Lstat(name); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&davFile{s: dav, p: "/file"}).put([]byte("through the link")); err != nil {
		t.Fatal(err)
	}
	if got, err := (&davFile{s: dav, p: "/d/f"}).get(); string(got) != "through the link" {
		t.Errorf("%q, %v", got, err)
	}
}

// The server asks for the password, and listens on this machine alone.
func TestDAVServer(t *testing.T) {
	d := newDevice(t, setup{n: 1})
	for _, bad := range []davfs.Options{{Listen: "0.0.0.0:0", User: "u", Password: "p"}, {Listen: "127.0.0.1:0", User: "u"}, {Listen: ":0", User: "u", Password: "p"}} {
		if s, err := davfs.Serve(d.fs, bad); err == nil {
			t.Errorf("%+v: serves at %s", bad, s.URL())
		}
	}
	s, err := davfs.Serve(d.fs, davfs.Options{Listen: "127.0.0.1:0", User: "shelf", Password: "secret", Who: self()})
	if err != nil {
		t.Fatal(err)
	}
	for cred, want := range map[string]int{"": 401, "shelf:wrong": 401, "shelf:": 401, "shelf:secret": 200} {
		req, _ := http.NewRequest(http.MethodGet, s.URL(), nil)
		if user, pass, ok := strings.Cut(cred, ":"); ok {
			req.SetBasicAuth(user, pass)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%q: %d, want %d", cred, resp.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := s.Unmount(t.Context(), false); err != nil {
		t.Error(err)
	}
	<-s.Done()
}
