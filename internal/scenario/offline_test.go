package scenario

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// offline asks a device what would not open, and returns the answer by path.
func (d *memoryDevice) offline(fix bool) (controlapi.OfflineResult, map[string]controlapi.OfflineFile) {
	d.t.Helper()
	res, err := d.dev.Offline(context.Background(), controlapi.OfflineRequest{Fix: fix}, func(controlapi.OfflineProgress) {})
	if err != nil {
		d.t.Fatal(err)
	}
	by := map[string]controlapi.OfflineFile{}
	for _, f := range res.Files {
		by[f.Path] = f
	}
	return res, by
}

// Before a journey: favourites that are not here yet, recent work, and what was opened and is here in part
// are listed, fetched, and open when nobody can be reached. What is old, or not wanted here, is left out.
func TestOfflineReadiness(t *testing.T) {
	m := newMemory()
	a, b := newMemoryDevice(t, m, "a"), newMemoryDevice(t, m, "b")
	a.create()
	a.admit(b)
	sizes := map[string]int{"/fav/song": 3 << 20, "/recent": 2 << 20, "/old": 4 << 20, "/film": 8 << 20, "/fav/cloud": 1 << 20, "/empty": 0}
	data := map[string]string{}
	if err := a.sys().Mkdir("/fav", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, n := range sizes {
		data[name] = string(random(uint64(n>>20), n))
		put(t, a, name, data[name])
	}
	long := time.Now().Add(-60 * 24 * time.Hour).UnixNano()
	for _, name := range []string{"/fav/song", "/old", "/film"} {
		if err := a.sys().Utimes(name, long, long); err != nil {
			t.Fatal(err)
		}
	}
	for name, n := range sizes {
		eventually(t, 10*time.Second, "b knows "+name, func() bool {
			st, err := b.sys().Lstat(name)
			return err == nil && st.Size == int64(n)
		})
	}
	ctx := context.Background()
	f, err := b.sys().Open("/film", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Pread(make([]byte, 4096), 5<<20); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	a.away()
	if _, err := b.dev.Pin(ctx, controlapi.PlaceRequest{Paths: []string{"/fav"}}, func(controlapi.Progress) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.dev.Free(ctx, controlapi.PlaceRequest{Paths: []string{"/fav/cloud"}}, func(controlapi.Progress) {}); err != nil {
		t.Fatal(err)
	}
	check := func(res controlapi.OfflineResult, by map[string]controlapi.OfflineFile, refused controlapi.Kind) {
		t.Helper()
		if res.Ready || len(by) != 3 || res.Looked != int64(len(sizes)) || res.MissingBytes != by["/fav/song"].Missing+by["/recent"].Missing+by["/film"].Missing {
			t.Errorf("%+v", res)
		}
		for name, why := range map[string]string{"/fav/song": controlapi.WhyPinned, "/recent": controlapi.WhyRecent, "/film": controlapi.WhyOpened} {
			f := by[name]
			whole := int64(sizes[name])
			if f.Why != why || f.Size != whole || f.Missing <= 0 || f.Missing > whole || (why == controlapi.WhyOpened) != (f.Missing < whole) {
				t.Errorf("%s: %+v", name, f)
			}
			if got := f.Refused; refused == "" && got != nil || refused != "" && (got == nil || got.Kind != refused || got.Paths[0] != name) {
				t.Errorf("%s: refused %+v, want %q", name, got, refused)
			}
		}
	}
	res, by := b.offline(false)
	check(res, by, "")
	begun := time.Now()
	res, by = b.offline(true)
	check(res, by, "offline")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("nobody is there, and it waited for %v", took)
	}
	a.back()
	eventually(t, 10*time.Second, "a is back", func() bool {
		st, err := b.dev.Status(ctx)
		return err == nil && st.Peers[0].Connected
	})
	missing := res.MissingBytes
	if res, by = b.offline(true); !res.Ready || res.MissingBytes != 0 || res.FetchedBytes > missing || by["/film"].Missing != 0 {
		t.Errorf("%+v", res)
	}
	if res, _ = b.offline(false); !res.Ready || len(res.Files) != 0 {
		t.Errorf("fetched, and still: %+v", res)
	}
	a.away()
	for _, name := range []string{"/fav/song", "/recent", "/film"} {
		if got, err := get(b, name); err != nil || got != data[name] {
			t.Errorf("%s without network: %d bytes of %d, %v", name, len(got), sizes[name], err)
		}
	}
}

// What the cache cannot hold at once is refused, the newest is fetched, and pins stay within their quota.
func TestOfflineFixStopsAtTheLimit(t *testing.T) {
	m := newMemory()
	a, b := newMemoryDevice(t, m, "a"), newMemoryDevice(t, m, "b")
	b.start.CacheSize, b.start.PinQuota = 16<<20, 4<<20
	a.create()
	a.admit(b)
	now := time.Now()
	for i, name := range []string{"/newest", "/middle", "/oldest"} {
		put(t, a, name, string(random(uint64(i), 6<<20)))
		at := now.Add(time.Duration(-i) * time.Hour).UnixNano()
		if err := a.sys().Utimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 10*time.Second, "b knows them", func() bool {
		for i, name := range []string{"/newest", "/middle", "/oldest"} {
			st, err := b.sys().Lstat(name)
			if err != nil || st.Size != 6<<20 || st.Mtime != now.Add(time.Duration(-i)*time.Hour).UnixNano() {
				return false
			}
		}
		return true
	})
	if err := b.pin("/newest"); err == nil || !strings.Contains(err.Error(), "quota of pins") || !strings.Contains(err.Error(), "pin_quota") {
		t.Errorf("over the quota: %v", err)
	}
	res, by := b.offline(true)
	if res.Ready || by["/newest"].Missing != 0 || by["/middle"].Missing != 0 || by["/oldest"].Missing == 0 {
		t.Errorf("%+v", res)
	}
	if r := by["/oldest"].Refused; r == nil || r.Kind != "no_space" {
		t.Errorf("%+v", r)
	}
	st, err := b.dev.Status(context.Background())
	if err != nil || st.Cache.Quota != 4<<20 || st.Cache.Used > st.Cache.Limit {
		t.Errorf("%+v %v", st.Cache, err)
	}
}
