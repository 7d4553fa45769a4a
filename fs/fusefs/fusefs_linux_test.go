package fusefs

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/mounthelper"
)

func TestTimesBeforeTheEpoch(t *testing.T) {
	for _, c := range []struct {
		ns   int64
		sec  int64
		nsec uint32
	}{{0, 0, 0}, {1, 0, 1}, {-1, -1, 999999999}, {-1500000000, -2, 500000000}, {1234567890123456789, 1234567890, 123456789}} {
		if s, n := split(c.ns); int64(s) != c.sec || n != c.nsec {
			t.Errorf("%d: %d %d", c.ns, int64(s), n)
		}
	}
}

func TestKinds(t *testing.T) {
	for kind, bits := range typeBits {
		if got, ok := kindOf(bits | 0o644); !ok || got != kind {
			t.Errorf("%v: %v %v", kind, got, ok)
		}
	}
	if _, ok := kindOf(0o170000); ok {
		t.Error("nonsense accepted")
	}
}

func TestStatus(t *testing.T) {
	if status(nil) != fuse.OK || status(errs.E("x", errs.NotExist, "", nil)) != fuse.ENOENT || status(badHandle()) == fuse.OK {
		t.Error("wrong status")
	}
}

func TestFit(t *testing.T) {
	buf := make([]byte, 4)
	if n, st := fit(buf, []byte("abc")); n != 3 || st != fuse.OK {
		t.Error(n, st)
	}
	if n, st := fit(buf, []byte("abcde")); n != 5 || st != fuse.ERANGE {
		t.Error(n, st)
	}
}

func TestAnswersThatMayBeOldAreNotKept(t *testing.T) {
	r := newRaw(nil, Options{Positive: time.Hour})
	var out fuse.EntryOut
	a := fs.Answer{Attr: fs.Attr{Ino: 7, Kind: namespace.Dir, Mode: 0o755, Nlink: 1}, Cache: true, Name: true}
	if r.setEntry(&out, &a); out.EntryTimeout() != time.Hour || out.AttrTimeout() != time.Hour || !out.Attr.IsDir() || out.NodeId != 7 {
		t.Errorf("%+v", out)
	}
	a.Name = false
	if r.setEntry(&out, &a); out.EntryTimeout() != 0 || out.AttrTimeout() != time.Hour {
		t.Errorf("%+v", out)
	}
	a.Cache, a.Name = false, true
	if r.setEntry(&out, &a); out.EntryTimeout() != 0 || out.AttrTimeout() != 0 {
		t.Errorf("%+v", out)
	}
}

func TestReadResultJoinsManyPieces(t *testing.T) {
	var b fs.Bytes
	for range maxSlices + 1 {
		b.Slices, b.Len = append(b.Slices, []byte{1}), b.Len+1
	}
	r := newReadResult(b, make([]byte, 0, 1000))
	if _, vectored := r.(interface {
		Slices() ([][]byte, fuse.Status)
	}); vectored || r.Size() != maxSlices+1 {
		t.Errorf("%T, size %d", r, r.Size())
	}
	b.Slices, b.Len = b.Slices[:2], 2
	r = newReadResult(b, nil)
	if got, st := r.Bytes(nil); len(got) != 2 || st != fuse.OK {
		t.Error(got, st)
	}
	r.Done()
	r.Done()
}

func TestRequestContext(t *testing.T) {
	c := make(chan struct{})
	r := request{c}
	if r.Err() != nil {
		t.Error(r.Err())
	}
	close(c)
	if <-r.Done(); r.Err() == nil {
		t.Error("not cancelled")
	}
}

// Users who are not root mount through the helper; root can too.
func TestAttachThroughHelper(t *testing.T) {
	dir, o := t.TempDir(), Options{Log: slog.New(slog.DiscardHandler)}
	m := mountOptions(o)
	m.DirectMount = false
	srv, dev, err := attach(context.Background(), newRaw(nil, o), dir, m)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.close()
	served := make(chan struct{})
	go func() { defer close(served); srv.Serve() }()
	settle(dir)
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || !strings.Contains(string(b), " "+dir+" ") || !strings.Contains(string(b), " fuse.shelf shelf ") {
		t.Errorf("not mounted: %v\n%s", err, b)
	}
	if err := mounthelper.Unmount(context.Background(), dir, false); err != nil {
		t.Fatal(err)
	}
	select {
	case <-served:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on serving after the unmount")
	}
}

// A mount that is gone from here and is served all the same is not waited for without end.
func TestUnmountEndsInAnyCase(t *testing.T) {
	s := &Server{dir: t.TempDir(), raw: newRaw(nil, Options{Log: slog.New(slog.DiscardHandler)}), done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 10*copiesTime)
	defer cancel()
	if err := s.Unmount(ctx, false); err != nil {
		t.Error(err)
	}
}

// What kernels make of one write of 3 MiB and a little, by where it begins, and what is a write of its own.
func TestPartsOfAWrite(t *testing.T) {
	const mib = 1 << 20
	page := uint32(os.Getpagesize())
	for _, c := range []struct {
		off   uint64
		size  uint32
		flags uint32
		more  bool
	}{
		{0, mib, 0, true},
		{5, mib - 5, 0, true},
		{7, mib - 4095, 0, true},
		{0, mib - 4096, 0, true},
		{5, page - 5, 0, true},
		{uint64(page) + 5, page - 5, 0, true},
		{5, 2*page - 5, 0, true},
		{0, 1, 0, false},
		{0, page, 0, false},
		{uint64(page), page, 0, false},
		{5, page, 0, false},
		{0, mib / 2, 0, false},
		{0, mib, fuse.WRITE_CACHE, false},
		{5, page - 5, fuse.WRITE_CACHE, false},
	} {
		if got := more(&fuse.WriteIn{Offset: c.off, Size: c.size, WriteFlags: c.flags}); got != c.more {
			t.Errorf("%d bytes at %d, flags %d: more to come is %v", c.size, c.off, c.flags, got)
		}
	}
}
