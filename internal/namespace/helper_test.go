package namespace

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand"
	randv2 "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// device is one device of a test: its key, disk and clock.
type device struct {
	*Replica
	t      testing.TB
	key    ed25519.PrivateKey
	name   string
	disk   vfs.FS
	mem    *kv.Memory // instead of disk, if set
	dir    string     // of a benchmark, on a real disk
	db     *kv.DB
	image  []byte // what tells its disk from a copy
	blind  bool   // has no key
	reader bool   // has no role that writes
	skew   time.Duration
	seals  Sealer // instead of the world's
	reads  uint8
	world  *world

	frames func([]byte) // sees what was applied
}

// world is the devices of one share and their common clock.
type world struct {
	t       testing.TB
	share   ident.ShareID
	sealer  *seal.Sealer
	now     time.Time
	rng     *rand.Rand
	ids     randomBytes // of rng, for all devices
	devices []*device
	left    []*device // members once

	brake    Brake
	released func(ident.Writer) uint64
	tolerant bool // sessions go on after bad records
	spelling Spelling
}

// randomBytes is a source that several devices read.
type randomBytes struct {
	mu   sync.Mutex
	from *rand.Rand
}

func (r *randomBytes) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from.Read(p)
}

func newWorld(t testing.TB, seed int64, n int) *world {
	w := &world{t: t, share: ident.ShareID{1}, now: time.UnixMilli(1_700_000_000_000), rng: rand.New(rand.NewSource(seed))}
	w.ids.from = w.rng
	w.sealer = seal.New(w.share, epoch, [32]byte{7})
	for i := range n {
		w.add(fmt.Sprintf("dev%d", i))
	}
	return w
}

func (w *world) add(name string) *device {
	d := &device{t: w.t, name: name, disk: vfs.NewMem(), world: w}
	seedKey(d, name)
	w.devices = append(w.devices, d)
	d.open()
	w.t.Cleanup(func() { d.close() })
	return d
}

func seedKey(d *device, name string) {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	d.key = ed25519.NewKeyFromSeed(seed)
}

func randV2(seed int64) *randv2.Rand { return randv2.New(randv2.NewPCG(uint64(seed), 1)) }

func (d *device) id() ident.DeviceID { return ident.DeviceIDOf(d.key) }

func (d *device) open() {
	d.t.Helper()
	var db *kv.DB
	var err error
	if d.mem != nil {
		db, err = kv.OpenMemory(d.mem)
	} else {
		db, err = kv.Open("db", [32]byte{9}, kv.Options{FS: d.disk, FreeFloor: -1, Ballast: -1})
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.db = db
	var sealer Sealer
	if !d.blind {
		sealer = d.world.sealer
	}
	if d.seals != nil {
		sealer = d.seals
	}
	r, err := Open(Config{DB: db, Share: d.world.share, Self: d.id(), Key: d.key, Sealer: sealer,
		Known: d.world.known, Writes: d.world.writes, Names: d.world.nameOf, Rand: &d.world.ids, Group: -1, Members: d.world.members, Brake: d.world.brake, Released: d.world.released, Disk: d.image, reads: d.reads, Spelling: d.world.spelling,
		Clock: func() time.Time { return d.world.now.Add(d.skew) }})
	if err != nil {
		d.t.Fatal(err)
	}
	d.Replica = r
}

func (d *device) close() {
	if d.db != nil {
		_ = d.Replica.Close()
		_ = d.db.Close()
		d.db = nil
	}
}

func (w *world) members() (out []ident.DeviceID) {
	for _, d := range w.devices {
		out = append(out, d.id())
	}
	return out
}

// writes tells that all but readers write.
func (w *world) writes(id ident.DeviceID) bool {
	return !slices.ContainsFunc(w.devices, func(d *device) bool { return d.reader && d.id() == id })
}

func (w *world) known(id ident.DeviceID) bool {
	is := func(d *device) bool { return d.id() == id }
	return slices.ContainsFunc(w.devices, is) || slices.ContainsFunc(w.left, is)
}

func (w *world) nameOf(id ident.DeviceID) string {
	for _, d := range w.devices {
		if d.id() == id {
			return d.name
		}
	}
	return id.Short()
}

// content is file contents that differ where n differs.
func content(n int) blocks.Content {
	if n == 0 {
		return blocks.Content{}
	}
	return blocks.Content{Root: blocks.Sum(fmt.Append(nil, n)), Size: uint64(n)}
}

// hear lets two devices say where they stand, as every session begins. It reports false if one
// of them must not send, for its own log is in doubt.
func hear(t testing.TB, dst, src *device) bool {
	t.Helper()
	for _, x := range [2][2]*device{{dst, src}, {src, dst}} {
		h := must(ParseHello(x[1].Hello(x[0].id()).Encode()))
		err := x[0].Hear(x[1].id(), h, x[0] == dst)
		if x[0] == src && errs.Is(err, errs.Closed) { // what it had said is no longer true
			return hear(t, dst, src)
		}
		if err != nil && !errs.Is(err, errs.Stale) {
			t.Fatal(err)
		}
	}
	return !src.inDoubt()
}

// pull brings all that src has to dst. limit < 0: a whole session; else the link breaks after
// so many frames.
func pull(t testing.TB, dst, src *device, limit int) int {
	t.Helper()
	return pullPages(t, dst, src, limit, 0)
}

func pullPages(t testing.TB, dst, src *device, limit, page int) int {
	t.Helper()
	ctx := context.Background()
	if !hear(t, dst, src) {
		return 0
	}
	d, err := src.Since(ctx, dst.Hello(src.id()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if page > 0 {
		d.page = page
	}
	for i := 0; ; i++ {
		f, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if limit >= 0 && i >= limit {
			return d.Records()
		}
		if err := dst.Apply(ctx, src.id(), f); err != nil && !(dst.world.tolerant && errs.Is(err, errs.Corrupt)) {
			t.Fatal(err)
		}
		if dst.frames != nil {
			dst.frames(f)
		}
	}
	end := must(ParseEnd(d.End().Encode()))
	if _, err := dst.Complete(ctx, src.id(), end); err != nil {
		t.Fatal(err)
	}
	audit(t, dst, src, d)
	return d.Records()
}

// audit makes the audit that dst owes src, if any.
func audit(t testing.TB, dst, src *device, d *Delta) {
	t.Helper()
	a := dst.Audit(src.id(), d.End())
	if a == nil {
		return
	}
	for q := a.Question(); q != nil; q = a.Question() {
		if err := a.Hear(must(d.Answer(q))); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range must(d.Fetch(a.Wanted())) {
		if err := a.Repair(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	must(a.End())
}

// heal lets everybody pull from everybody until nothing is new.
func (w *world) heal() {
	for range 3 {
		for _, a := range w.devices {
			for _, b := range w.devices {
				if a != b {
					pull(w.t, a, b, -1)
				}
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func wantKind(t *testing.T, err error, k errs.Kind) {
	t.Helper()
	if !errs.Is(err, k) {
		t.Errorf("got %v, want kind %v", err, k)
	}
}

// listing is a directory's names, sorted, directories with a slash.
func listing(t testing.TB, r *Replica, dir NodeID) []string {
	t.Helper()
	var out []string
	for after := uint64(0); ; {
		page, err := r.List(dir, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if e.Cookie <= after {
				t.Fatalf("cookie %d after %d", e.Cookie, after)
			}
			after = e.Cookie
			name := e.Name
			if e.Kind == Dir {
				name += "/"
			}
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func wantNames(t *testing.T, r *Replica, dir NodeID, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := listing(t, r, dir); !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
}

func mkfile(t testing.TB, r *Replica, dir NodeID, name string, c int) Entry {
	t.Helper()
	e, err := r.Create(dir, name, Spec{Kind: File, Mode: 0o644, Content: content(c)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mkdir(t testing.TB, r *Replica, dir NodeID, name string) Entry {
	t.Helper()
	e, err := r.Create(dir, name, Spec{Kind: Dir, Mode: 0o755})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func isCopy(name string) bool { return strings.Contains(name, " (conflict from ") }

func isKind(err error, ks ...errs.Kind) bool { return slices.Contains(ks, errs.KindOf(err)) }

// talk is a session that goes on, as between devices that stay connected.
type talk struct {
	t        testing.TB
	dst, src *device
	theirs   Hello // what dst needs: what it said at the beginning, then what it was sent
}

// begin greets for a talk by which src brings dst up to date.
func begin(t testing.TB, dst, src *device) *talk {
	t.Helper()
	if !hear(t, dst, src) {
		t.Fatal("they do not talk")
	}
	return &talk{t, dst, src, dst.Hello(src.id())}
}

// bring sends what is new.
func (s *talk) bring() {
	s.t.Helper()
	must(0, s.src.Sync(s.t.Context()))
	d := must(s.src.Since(s.t.Context(), s.theirs))
	defer d.Close()
	for {
		f, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(0, err)
		must(0, s.dst.Apply(s.t.Context(), s.src.id(), f))
	}
	must(s.dst.Complete(s.t.Context(), s.src.id(), d.End()))
	s.theirs = Hello{Claims: s.theirs.Claims.Join(d.End().Claims)}
}

// seeds is n, less when tests are to be short.
func seeds(n int64) int64 {
	if testing.Short() {
		return (n + 3) / 4
	}
	return n
}
