package fetch_test

import (
	"context"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/simnet"
)

// walker is the manifests of a file as its reader gets them, from who may send more than that.
type walker struct{ g *fetch.Group }

func (w walker) GetBlock(ctx context.Context, d blocks.Digest) (blocks.Sealed, error) {
	return w.g.Get(ctx, d, fetch.OnDemand)
}

func (w walker) GetManifest(ctx context.Context, d blocks.Digest, next blocks.Stretch) (blocks.Sealed, error) {
	return w.g.GetManifest(ctx, d, fetch.OnDemand, next)
}

// cold is a reader on the other side of a slow link from all of a file, of which he has nothing.
type cold struct {
	*fetch.Fetcher
	cache, theirs *memory
	group         *fetch.Group
	tree          *content.Tree
	sealer        *seal.Sealer
	refs          []blocks.Ref
	in            func() uint64 // blocks that came

	lies atomic.Int32
	mu   sync.Mutex
	came map[blocks.Digest]ident.DeviceID // as was told
}

const trip = 40 * time.Millisecond

// openCold makes a file of n blocks of 4 KiB on one device, which can read manifests or not, and opens it on another.
func openCold(t *testing.T, n int, keys bool, act func(t *testing.T, c *cold)) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(simnet.Link{Latency: trip / 2})
		a, b := ident.DeviceID{1}, ident.DeviceID{2}
		s := seal.New(ident.ShareID{1}, 1, [32]byte{2})
		c := &cold{came: map[blocks.Digest]ident.DeviceID{}, cache: &memory{m: map[blocks.Digest]blocks.Sealed{}}, theirs: &memory{m: map[blocks.Digest]blocks.Sealed{}}, sealer: s}
		rnd := rand.NewChaCha8([32]byte{7})
		for range n {
			plain := make([]byte, 4<<10)
			_, _ = rnd.Read(plain)
			sealed, err := s.Seal(seal.Data, plain)
			if err != nil {
				t.Fatal(err)
			}
			c.theirs.m[sealed.Digest] = sealed
			c.refs = append(c.refs, blocks.Ref{Digest: sealed.Digest, Length: uint64(len(plain))})
		}
		what, manifests, err := content.Build(c.refs, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range manifests {
			c.theirs.m[m.Digest] = m
		}
		cfg := exchange.Config{Network: net.Host(b), Store: c.theirs}
		if keys {
			cfg.Below = func(ctx context.Context, m blocks.Sealed, next blocks.Stretch) iter.Seq[blocks.Sealed] {
				return content.Below(ctx, c.theirs, s, m, next)
			}
		}
		server := exchange.New(cfg)
		x := exchange.New(exchange.Config{Network: net.Host(a), Store: c.cache})
		roster := fetch.NewRoster(x.Source)
		roster.Set([]fetch.Device{{ID: b, Connected: true, Path: fetch.Direct, RTT: trip}})
		c.Fetcher = fetch.New(fetch.Config{Cache: c.cache, Locator: roster, Present: c.cache.has, Report: func(fetch.Report) { c.lies.Add(1) }, Came: func(d blocks.Digest, dev ident.DeviceID) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.came[d] = dev
		}})
		c.group = c.Following(func() []ident.DeviceID { return []ident.DeviceID{b} })
		c.in = func() uint64 { return x.Totals().BlocksIn }
		warm := blocks.New([]byte("the connection is there"))
		c.theirs.m[warm.Digest] = warm
		if _, err := c.GetBlock(t.Context(), warm.Digest); err != nil {
			t.Fatal(err)
		}
		if c.tree, err = content.Load(t.Context(), walker{c.group}, s, what); err != nil {
			t.Fatal(err)
		}
		act(t, c)
		for _, close := range []func() error{c.Close, x.Close, server.Close} {
			if err := close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// read gets what a reader of [off, off+n) needs, and tells how long he waited, in round trips.
func (c *cold) read(t *testing.T, off, n uint64) (trips int) {
	t.Helper()
	begun := time.Now()
	for p, err := range c.tree.Range(t.Context(), off, n) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := c.group.Get(t.Context(), p.Digest, fetch.OnDemand)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.sealer.Open(seal.Data, b, p.Length, nil); err != nil {
			t.Fatal(err)
		}
	}
	return int(time.Since(begun) / trip)
}

// The first read of a file costs one round trip, however many manifests lie above its bytes: they and the bytes come
// in one answer. From a device that cannot read manifests it costs one for each of them.
func TestManifestsCostNoRoundTrip(t *testing.T) {
	for _, c := range []struct {
		blocks  int
		keys    bool
		trips   int
		reading string
	}{
		{100, true, 1, "one manifest"},
		{100, false, 2, "one manifest, from who has no keys"},
		{20_000, true, 1, "two levels of manifests"},
		{20_000, false, 3, "two levels of manifests, from who has no keys"},
	} {
		t.Run(c.reading, func(t *testing.T) {
			openCold(t, c.blocks, c.keys, func(t *testing.T, f *cold) {
				if trips := f.read(t, uint64(c.blocks/2)*4096+100, 3000); trips != c.trips {
					t.Errorf("the first read took %d round trips, want %d", trips, c.trips)
				}
			})
		})
	}
}

// What comes along is not here for those who only look, is kept once it is asked for, and not at all if nobody does.
func TestWhatCameAlongIsKeptWhenAskedFor(t *testing.T) {
	openCold(t, 100, true, func(t *testing.T, c *cold) {
		for _, err := range c.tree.Range(t.Context(), 0, 3*4096) { // the manifest, and three blocks with it
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := c.in(); n != 1+1+3 {
			t.Errorf("%d blocks came", n)
		}
		for _, r := range c.refs[:3] {
			if here, coming := c.Find(r.Digest); here || coming || c.cache.has(r.Digest) {
				t.Error("a block is here that nobody asked for")
			}
		}
		if _, err := c.group.Get(t.Context(), c.refs[0].Digest, fetch.OnDemand); err != nil {
			t.Fatal(err)
		}
		c.group.Ahead(c.refs[1].Digest)
		synctest.Wait()
		if here, _ := c.Find(c.refs[1].Digest); !here {
			t.Error("what was asked for ahead is not here")
		}
		for i, want := range []bool{true, true, false} {
			if c.cache.has(c.refs[i].Digest) != want {
				t.Errorf("block %d is kept: %v", i, !want)
			}
			c.mu.Lock()
			if dev, told := c.came[c.refs[i].Digest]; told != want || want && dev != (ident.DeviceID{2}) {
				t.Errorf("block %d is told to have come: %v, from %v", i, told, dev)
			}
			c.mu.Unlock()
		}
		if n := c.in(); n != 1+1+3 {
			t.Errorf("%d blocks came, some of them once more", n)
		}
	})
}

// A block that came along and is another than it should be is not used; the manifest is.
func TestLiesComeAlongInVain(t *testing.T) {
	openCold(t, 100, true, func(t *testing.T, c *cold) {
		bad := c.theirs.m[c.refs[0].Digest]
		bad.Bytes = append([]byte(nil), bad.Bytes...)
		bad.Bytes[len(bad.Bytes)/2] ^= 1
		c.theirs.m[c.refs[0].Digest] = bad
		for _, err := range c.tree.Range(t.Context(), 0, 4096) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if c.lies.Load() == 0 {
			t.Error("the lie was not reported")
		}
		if b, err := c.group.Get(t.Context(), c.refs[0].Digest, fetch.OnDemand); err == nil {
			t.Errorf("%d wrong bytes", len(b.Bytes))
		}
	})
}
