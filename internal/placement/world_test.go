package placement

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/simnet"
)

// world is some devices of one share: real stores and replicas, a network in memory.
type world struct {
	t      *testing.T
	net    *simnet.Net
	sealer *seal.Sealer
	all    []*dev

	mu    sync.Mutex
	parts map[blocks.Digest][]blocks.Digest // of a manifest

	silent atomic.Pointer[func() bool] // whether this answer of a keeper is lost
	// what becomes of such a message; nil: it arrives, and so does its answer
	onTheWay atomic.Pointer[func(ctx context.Context, from, to *dev, ls []exchange.Leave) ([][]bool, error)]
}

// dev is one of them.
type dev struct {
	*Engine
	asked atomic.Int64 // messages by which it asked for leave
	w     *world
	key   ed25519.PrivateKey
	id    ident.DeviceID
	dir   string
	floor int64 // of the disk, as cache.Options has it
	quota int64 // of pins, as Config has it
	host  *simnet.Host
	db    *kv.DB
	names *namespace.Replica
	store *cache.Store
	stop  func()

	pointed atomic.Pointer[[]ident.DeviceID]         // the holders of the last fetch,
	listed  atomic.Pointer[[]ident.DeviceID]         // and of the last list of blocks that may be fetched
	meddle  atomic.Pointer[func(n namespace.NodeID)] // see meddled
	holds   atomic.Bool                              // pins are held: Config.Held
	fetched [Awaited + 1]atomic.Int32                // fetches, by urgency
	ahead   atomic.Int64                             // how far its clock has been put, in nanoseconds
}

const testLimit = 1 << 20

func newWorld(t *testing.T, n int) *world {
	w := &world{t: t, net: simnet.New(simnet.Link{}), sealer: seal.New(ident.ShareID{1}, 1, [32]byte{7}), parts: map[blocks.Digest][]blocks.Digest{}}
	for i := range n {
		key := ed25519.NewKeyFromSeed(fmt.Appendf(make([]byte, 0, 32), "%032d", i))
		d := &dev{w: w, key: key, id: ident.DeviceIDOf(key), dir: t.TempDir(), floor: -1}
		d.host = w.net.Host(d.id)
		w.all = append(w.all, d)
		t.Cleanup(d.close)
	}
	for _, d := range w.all {
		d.open()
	}
	return w
}

func (d *dev) must(err error) {
	d.w.t.Helper()
	if err != nil {
		d.w.t.Fatal(err)
	}
}

func (d *dev) open() {
	d.w.t.Helper()
	var err error
	d.db, err = kv.Open(d.dir+"/meta", [32]byte{1}, kv.Options{FreeFloor: -1, Ballast: -1})
	d.must(err)
	d.store, err = cache.Open(d.dir+"/cache", [32]byte{1}, cache.Options{Limit: testLimit, DiskFloor: d.floor,
		OnCorrupt: func(g blocks.Digest, _ cache.Class) { d.Damaged(g) }})
	d.must(err)
	d.names, err = namespace.Open(namespace.Config{DB: d.db, Share: ident.ShareID{1}, Self: d.id, Key: d.key, Sealer: d.w.sealer,
		Known: func(ident.DeviceID) bool { return true }, Names: ident.DeviceID.Short,
		Clock: func() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) }})
	d.must(err)
	d.Engine, err = New(Config{Self: d.id, DB: d.db, Names: meddled{d.names, d}, Store: d.store, Peers: d, Network: d.host,
		Digests: d.digests, Fetch: d.fetch, Held: func(u Urgency) bool { return u == ForPin && d.holds.Load() }, Quota: d.quota, Log: slog.New(slog.DiscardHandler)})
	d.must(err)
	d.w.net.Up(d.id)
	ctx, cancel := context.WithCancel(context.Background())
	events, end := d.host.Subscribe()
	ran := make(chan error, 1)
	e := d.Engine
	go func() { ran <- e.Run(ctx, events) }()
	d.stop = func() {
		cancel()
		end()
		if err := <-ran; err != nil {
			d.w.t.Error(err)
		}
	}
}

func (d *dev) close() {
	if d.stop == nil {
		return
	}
	d.w.net.Down(d.id)
	d.stop()
	d.stop = nil
	for _, err := range []error{d.names.Close(), d.store.Close(), d.db.Close()} {
		if err != nil {
			d.w.t.Error(err)
		}
	}
}

func (d *dev) restart() { d.close(); d.open() }

// reach finds a device that is connected.
func (d *dev) reach(id ident.DeviceID) (*dev, error) {
	for _, o := range d.w.all {
		if o.id != id {
			continue
		}
		for _, c := range d.host.Connected() {
			if c == id {
				return o, nil
			}
		}
	}
	return nil, errs.E("test", errs.Offline, "", nil)
}

// Have and Release make dev a Peers.
func (d *dev) Have(_ context.Context, id ident.DeviceID, ds []blocks.Digest) ([]exchange.Class, error) {
	o, err := d.reach(id)
	if err != nil {
		return nil, err
	}
	return o.Classes(ds), nil
}

func (d *dev) Release(ctx context.Context, id ident.DeviceID, ls []exchange.Leave) ([][]bool, error) {
	o, err := d.reach(id)
	if err != nil {
		return nil, err
	}
	d.asked.Add(1)
	if meddle := d.w.onTheWay.Load(); meddle != nil {
		return (*meddle)(ctx, d, o, ls)
	}
	out := o.Grant(d.id, ls)
	if silent := d.w.silent.Load(); silent != nil && (*silent)() {
		return nil, errs.E("test", errs.Timeout, "", nil)
	}
	return out, nil
}

// grants reports whether d would let another stop keeping a block of a file.
func (d *dev) grants(n namespace.NodeID, b blocks.Sealed) bool {
	return d.Grant(ident.DeviceID{}, []exchange.Leave{{Node: n, Blocks: []blocks.Digest{b.Digest}}})[0][0]
}

// free is Free of one file.
func (d *dev) free(ctx context.Context, e namespace.Entry) (got Freed, err error) {
	d.Free(ctx, []namespace.Entry{e}, func(_ namespace.Entry, f Freed, ferr error) { got, err = f, ferr })
	return got, err
}

func (d *dev) digests(_ context.Context, c blocks.Content, u Urgency, holders ...ident.DeviceID) iter.Seq2[blocks.Digest, error] {
	if u == Awaited {
		d.listed.Store(&holders)
	}
	return func(yield func(blocks.Digest, error) bool) {
		d.w.mu.Lock()
		parts := d.w.parts[c.Root]
		d.w.mu.Unlock()
		if c.Root.IsZero() || !yield(c.Root, nil) {
			return
		}
		for _, p := range parts {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (d *dev) fetch(ctx context.Context, u Urgency, holders []ident.DeviceID, ds iter.Seq[blocks.Digest], each func(blocks.Digest, error)) error {
	d.pointed.Store(&holders)
	d.fetched[u].Add(1)
	for g := range ds {
		err := error(errs.E("test.fetch", errs.Offline, "", nil))
		for _, id := range d.host.Connected() {
			o, rerr := d.reach(id)
			if rerr != nil {
				continue
			}
			b, gerr := o.store.GetBlock(ctx, g)
			if gerr == nil {
				if err = d.store.PutBlock(ctx, b); errs.Is(err, errs.NoSpace) {
					err = nil // as the fetcher does: the bytes came, and are not kept
				}
				break
			}
		}
		each(g, err)
	}
	return nil
}

// write makes new contents of n blocks for a file and commits them as the filesystem does.
func (d *dev) write(n namespace.NodeID, name string, bs ...blocks.Sealed) namespace.Entry {
	d.w.t.Helper()
	ctx := context.Background()
	var ds []blocks.Digest
	var size uint64
	for _, b := range bs {
		ds, size = append(ds, b.Digest), size+uint64(len(b.Bytes))
	}
	root := ds[0]
	if len(bs) > 1 {
		m := blocks.New(fmt.Append(nil, ds))
		root = m.Digest
		d.w.mu.Lock()
		d.w.parts[root] = ds
		d.w.mu.Unlock()
		bs, ds = append(bs, m), append(ds, root)
	}
	if n.IsZero() {
		e, err := d.names.Create(namespace.Root, name, namespace.Spec{Kind: namespace.File, Mode: 0o644})
		d.must(err)
		n = e.ID
	}
	old, err := d.names.Get(n)
	d.must(err)
	d.must(d.store.Stage(ctx, n, bs...))
	d.must(d.store.Sync(ctx))
	e, err := d.names.Commit(n, old.Versions, blocks.Content{Root: root, Size: size}, time.Now().UnixNano())
	d.must(err)
	d.must(d.store.Settle(map[[16]byte][]blocks.Digest{n: ds}))
	return e
}

func sealed(seed uint64, size int) blocks.Sealed {
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(seed, 9))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return blocks.New(b)
}

// sync brings all records of every device to all that it reaches.
func (w *world) sync() {
	w.t.Helper()
	for range 2 {
		for _, a := range w.all {
			for _, b := range w.all {
				if _, err := a.reach(b.id); a.stop != nil && b.stop != nil && err == nil {
					w.pull(a, b)
				}
			}
		}
	}
}

func (w *world) pull(dst, src *dev) {
	w.t.Helper()
	ctx := context.Background()
	src.must(src.names.Sync(ctx))
	delta, err := src.names.Since(ctx, dst.names.Hello(src.id))
	src.must(err)
	defer delta.Close()
	for {
		f, err := delta.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		src.must(err)
		dst.must(dst.names.Apply(ctx, src.id, f))
	}
	_, err = dst.names.Complete(ctx, src.id, delta.End())
	dst.must(err)
}

// evict drops all that is only cache.
func (d *dev) evict(ds ...blocks.Digest) { d.must(d.store.Drop(context.Background(), ds...)) }

func (d *dev) classOf(b blocks.Sealed) cache.Class { return d.class(b.Digest) }

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("never: %s", what)
		}
	}
}
