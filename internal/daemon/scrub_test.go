package daemon

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/keystore"
)

// pretend is a clock that only the scrubber's sleep moves, and that tells how long it slept.
type pretend struct{ t time.Time }

func (c *pretend) now() time.Time                           { return c.t }
func (c *pretend) sleep(_ context.Context, d time.Duration) { c.t = c.t.Add(d) }

// Every block is read within 30 days, also on a device that is off half of the time and was restarted each day; and not at
// once, but spread over the days.
func TestScrubKeepsToItsSchedule(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	open := func() *cache.Store {
		s, err := cache.Open(dir, [32]byte{1}, cache.Options{DiskFloor: -1})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	store := open()
	var all []digest
	for i := range 64 {
		b := blocks.New(bytes.Repeat([]byte{byte(i), 7}, 512<<10))
		if err := store.PutBlock(ctx, b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b.Digest)
	}
	clock := &pretend{time.Unix(1e9, 0)}
	begun := clock.t
	read := int64(0)
	for day := range 45 {
		s := scrubber{store, clock.now, clock.sleep, func(context.Context) {}}
		before, _ := store.Round()
		for end := clock.t.Add(12 * time.Hour); clock.t.Before(end); {
			if err := s.once(ctx); err != nil {
				t.Fatal(err)
			}
		}
		after, err := store.Round()
		if err != nil {
			t.Fatal(err)
		}
		if n := after.Bytes - before.Bytes; n > 16<<20 {
			t.Errorf("day %d: %d bytes read of %d", day, n, 64<<20)
		} else if n > 0 {
			read += n
		}
		clock.t = clock.t.Add(12 * time.Hour)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		store = open()
		if clock.t.Sub(begun) < 30*24*time.Hour {
			continue
		}
		for _, d := range all {
			if v := after.Verified(d); clock.t.Sub(v) > 30*24*time.Hour {
				t.Fatalf("day %d: a block was read last at %v, in round %+v", day, v, after)
			}
		}
	}
	if read > 4*64<<20 || read < 2*64<<20 {
		t.Errorf("%d bytes read in 45 days", read)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// A daemon goes on with its round when it begins, finds damage on its own, and tells of it.
func TestDaemonScrubs(t *testing.T) {
	s, ctx := home(t), context.Background()
	d := mustOpen(t, s, &lonely{})
	b := blocks.New(bytes.Repeat([]byte("block"), 20<<10))
	if err := d.cache.PutBlock(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := d.cache.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	key, _, _, err := keystore.Unlock(ctx, s.Home.Dir(), keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := cache.Open(s.Home.CacheDir(), key, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.BeginRound(time.Now()); err != nil { // the daemon's own first is over
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(s.Home.CacheDir() + "/segments/*.seg")
	f, err := os.OpenFile(files[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), 50<<10); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	d = mustOpen(t, s, &lonely{})
	defer d.Close()
	eventually(t, "the damage is found", func() bool {
		st, err := d.Status(ctx)
		return err == nil && st.Scrub.Damaged == 1 && st.Scrub.Repaired == 0
	})
	if d.here(b.Digest) {
		t.Error("it is still there")
	}
	if err := d.cache.PutBlock(ctx, b); err != nil { // it comes again when it is wanted
		t.Fatal(err)
	}
	st, err := d.Status(ctx)
	if err != nil || st.Scrub.Damaged != 1 || st.Scrub.Repaired != 1 {
		t.Errorf("%+v %v", st.Scrub, err)
	}
}

// The status of a file and of a folder says since when their blocks are verified: the block that was longest not
// read counts, and one that is not here does not.
func TestStatusTellsSinceWhenVerified(t *testing.T) {
	begun, before := time.Unix(2000, 0), time.Unix(1000, 0)
	r := cache.Round{Begun: begun, Before: before, Next: digest{0x80}}
	passed, coming, absent := digest{0x10}, digest{0x90}, digest{0xa0}
	v := &verifiedSince{round: r, here: func(d digest) bool { return d != absent }}
	for i, step := range []struct {
		blocks []digest
		want   time.Time
	}{{nil, time.Time{}}, {[]digest{absent}, time.Time{}}, {[]digest{passed, absent}, begun}, {[]digest{coming}, before}, {[]digest{passed}, before}} {
		if v.add(localFile{blocks: step.blocks}); !v.since.Equal(step.want) {
			t.Errorf("step %d: %v, want %v", i, v.since, step.want)
		}
	}

	s, ctx := home(t), context.Background()
	d := mustOpen(t, s, &lonely{})
	defer d.Close()
	_, h, err := d.fs.Create(ctx, fs.Caller{}, fs.RootIno, "a", 0o644, fs.OpenFlags{Write: true}, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.WriteAt(ctx, 0, []byte("written"), fs.WriteFlags{}); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if err := d.fs.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/a", "/"} {
		eventually(t, path+" is verified", func() bool { // the first round is over at once
			st, err := d.PathStatus(ctx, path)
			return err == nil && st.Verified != nil && time.Since(*st.Verified) < time.Hour
		})
	}
}
