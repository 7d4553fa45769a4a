package fstest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/fs/holes"
	"github.com/shelffs/shelf/fs/journal"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// device is one device's real parts: store, replica, filesystem. Devices of one test share
// the read key and reach each other's blocks through peers.
type device struct {
	id      ident.DeviceID
	db      *kv.DB
	store   *cache.Store
	names   *namespace.Replica
	watcher *namespace.Watcher
	fs      *fs.FS
	blocks  *localBlocks
	sealer  *seal.Sealer
	ahead   atomic.Int64 // how far its clock was put, in nanoseconds
}

func (d *device) clock() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) }

// pass puts its clock forward and tells it.
func (d *device) pass(by time.Duration) time.Time {
	d.ahead.Add(int64(by))
	return d.clock()
}

var (
	testShare = ident.ShareID{1, 2, 3}
	testKey   = [32]byte{4, 5, 6}
	master    = [32]byte{7, 8, 9}
)

// deviceKey is the signing key of the n-th device of a test.
func deviceKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), n))
}

type setup struct {
	n      byte // number of the device
	rules  alias.Rules
	limits fs.Limits
	wrap   func(*fs.Config) // changes the parts before they are put together
	disk   *disk            // holds everything; nil: the machine's does
	log    io.Writer
}

// start opens the n-th device in dir.
func start(dir string, s setup) (*device, error) {
	log := slog.New(slog.DiscardHandler)
	if s.log != nil {
		log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	key := deviceKey(s.n)
	d := &device{id: ident.DeviceIDOf(key)}
	var err error
	ko, co := kv.Options{}, cache.Options{Limit: 20 << 30, Logger: log}
	if s.disk != nil {
		ko.FS, co.FS, co.DiskFloor = s.disk, s.disk, -1
	}
	if d.db, err = kv.Open(filepath.Join(dir, "meta"), master, ko); err != nil {
		return nil, err
	}
	d.sealer = seal.New(testShare, 1, testKey)
	var spelling namespace.Spelling
	if s.rules.Folds() {
		spelling = s.rules
	}
	d.names, err = namespace.Open(namespace.Config{
		DB: d.db, Spelling: spelling, Share: testShare, Self: d.id, Key: key, Sealer: d.sealer, Log: log,
		Known: func(ident.DeviceID) bool { return true }, Clock: d.clock,
	})
	if err != nil {
		return nil, err
	}
	d.store, err = cache.Open(filepath.Join(dir, "cache"), master, co)
	if err != nil {
		return nil, err
	}
	d.blocks = &localBlocks{store: d.store}
	d.watcher = d.names.Watch()
	cfg := fs.Config{
		Names: d.names, Rules: s.rules, Past: d.names, Clock: d.clock, Changes: d.watcher, Blocks: d.blocks, Store: d.store, Journal: journal.Open(d.db), Holes: holes.Open(d.db), Sealer: d.sealer,
		Interrupted: d.store.Owners(cache.Writing),
		UID:         uint32(os.Getuid()), GID: uint32(os.Getgid()), Log: log, Limits: s.limits,
		StatFS: func() fs.Usage { return fs.Usage{Total: 1 << 40, Free: 1 << 39, Avail: 1 << 39} },
	}
	if s.wrap != nil {
		s.wrap(&cfg)
	}
	d.fs, err = fs.New(context.Background(), cfg)
	return d, err
}

// stop ends the device as a daemon does.
func (d *device) stop() error {
	err := d.fs.Close(context.Background())
	d.watcher.Close()
	for _, e := range []error{d.names.Close(), d.store.Close(), d.db.Close()} {
		if err == nil {
			err = e
		}
	}
	return err
}

// die ends the device as a crash does: the filesystem is not asked.
func (d *device) die() error { return errors.Join(d.names.Close(), d.store.Close(), d.db.Close()) }

func newDevice(t *testing.T, s setup) *device {
	t.Helper()
	d, err := start(t.TempDir(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// localBlocks is the getter of a device: its own store, then its peers'.
type localBlocks struct {
	store *cache.Store

	mu     sync.Mutex
	peers  []*cache.Store
	asked  int // blocks that were asked of this getter
	far    int // of them, those that came from a peer
	ahead  int // blocks wished for in advance
	parts  int // parts that came alone
	rests  []blocks.Digest
	refuse error         // instead of asking peers
	gate   chan struct{} // asking peers waits for it
}

func (b *localBlocks) GetBlock(ctx context.Context, d blocks.Digest) (got blocks.Sealed, err error) {
	far := false
	err = b.ask(ctx, d, func(from *cache.Store) (err error) {
		far = from != b.store
		got, err = from.GetBlock(ctx, d)
		return err
	})
	if err == nil && far {
		err = b.store.PutBlock(ctx, got)
	}
	return got, err
}

func (b *localBlocks) Local(ctx context.Context, d blocks.Digest) (blocks.Sealed, bool) {
	got, err := b.store.GetBlock(ctx, d)
	if err != nil {
		return got, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	return got, true
}

func (b *localBlocks) GetPart(ctx context.Context, d blocks.Digest, p blocks.Span, open func([]byte) ([]byte, error)) (out []byte, err error) {
	err = b.ask(ctx, d, func(from *cache.Store) error {
		sent, err := from.GetPart(ctx, d, p, func(n int) []byte { return make([]byte, 0, n) })
		if err == nil {
			out, err = open(sent)
		}
		return err
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts++
	return out, err
}

func (b *localBlocks) Rest(d blocks.Digest) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rests = append(b.rests, d)
	return func() {}
}

// ask has get look in the device's own store, then in those of its peers.
func (b *localBlocks) ask(ctx context.Context, d blocks.Digest, get func(from *cache.Store) error) error {
	err := get(b.store)
	b.mu.Lock()
	b.asked++
	peers, refuse, gate := b.peers, b.refuse, b.gate
	b.mu.Unlock()
	if err == nil || !errs.Is(err, errs.NotExist) {
		return err
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if refuse != nil {
		return refuse
	}
	for _, p := range peers {
		if get(p) == nil {
			b.mu.Lock()
			b.far++
			b.mu.Unlock()
			return nil
		}
	}
	return errs.E("test", errs.Offline, d.Short(), nil)
}

func (b *localBlocks) Ahead(ds ...blocks.Digest) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead += len(ds)
	return func() {}
}

func (b *localBlocks) Find(d blocks.Digest) (here, coming bool) {
	_, err := b.store.GetBlock(context.Background(), d)
	return err == nil, false
}

// pull brings a up to date with b, metadata only.
func (a *device) pull(b *device) error {
	ctx := context.Background()
	if err := b.names.Sync(ctx); err != nil {
		return err
	}
	delta, err := b.names.Since(ctx, a.names.Hello(b.id))
	if err != nil {
		return err
	}
	defer delta.Close()
	for {
		frame, err := delta.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := a.names.Apply(ctx, b.id, frame); err != nil {
			return err
		}
	}
	_, err = a.names.Complete(ctx, b.id, delta.End())
	return err
}

// follow pulls from b again and again until stop is called.
func (a *device) follow(b *device) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
			}
			if err := a.pull(b); err != nil {
				panic(err)
			}
		}
	}()
	return func() { close(end); <-ended }
}

// join lets two devices reach each other's blocks.
func join(a, b *device) {
	a.blocks.peers = append(a.blocks.peers, b.store)
	b.blocks.peers = append(b.blocks.peers, a.store)
}
