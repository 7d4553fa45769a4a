package sim

import (
	"crypto/ed25519"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// device is one device: its disk, its clock, and the replica that runs on it.
type device struct {
	w      *world
	i      int
	key    ed25519.PrivateKey
	id     ident.DeviceID
	skew   int64 // milliseconds
	blind  bool  // has no keys
	roster roster

	disk  *kv.Memory
	store store
	db    *kv.DB
	names *namespace.Replica

	seen     *view            // what is shown, nil if it may have changed
	shown    map[nodeID]*item // what was shown since the start, as it was last
	handles  map[string]handle
	frames   []frame             // that this device received, or was to receive
	streams  map[*device]*stream // by which others bring it up to date
	began    uint64              // the number of the operation's first write
	promised uint64              // of the own log so much was said to be durable,
	by       ident.Writer        // under this incarnation
	image    *image
	since    uint64       // of a copy: how long the log was
	life     int          // how often its disk was put back
	writer   ident.Writer // as which it writes, as far as the oracle has noticed
	mark     []byte       // tells the disk from copies of it
	dying    bool         // the power is about to fail
	keep     int          // and so much of what is not durable will survive
	deaf     bool         // to liars: here they are members no more
}

// handle is a file that somebody has open.
type handle struct {
	id   namespace.NodeID
	base []namespace.Dot
	seen int
	was  entry
}

// frame is a message on its way, and who sent it.
type frame struct {
	from  ident.DeviceID
	bytes []byte
}

func (w *world) add(i int) *device {
	d := &device{w: w, i: i, key: deviceKeys()[i], id: deviceID(i), disk: kv.NewMemory(), store: newStore(), mark: []byte{byte(i), 0}, roster: roster{}, handles: map[string]handle{}, streams: map[*device]*stream{}}
	w.devices = append(w.devices, d)
	w.stores = append(w.stores, &d.store)
	return d
}

// start opens the replica on the disk.
func (d *device) start() {
	w := d.w
	var err error
	if d.db, err = kv.OpenMemory(d.disk); err == nil {
		cfg := namespace.Config{DB: d.db, Share: share, Self: d.id, Key: d.key, Signer: signer{d.id}, Sealer: w.sealer,
			Known: known, Names: nameOf, Clock: d.clock, Rand: &w.dice, Group: -1, Members: d.members, Disk: d.mark}
		if d.blind {
			cfg.Sealer = nil
		}
		d.names, err = namespace.Open(cfg)
	}
	if err != nil && !d.broke(err) {
		w.fail("a store opens", "%v", err)
	}
	d.seen, d.shown = nil, map[nodeID]*item{}
}

var share = ident.ShareID{1}

// epoch is when scripts begin.
const epoch = 1_700_000_000_000

func (d *device) clock() time.Time { return time.UnixMilli(epoch + d.w.step.At + d.skew) }

// restart ends the program in order and starts it again.
func (d *device) restart() {
	d.handles = map[string]handle{}
	for _, err := range []error{d.names.Close(), d.db.Close()} {
		if d.broke(err) {
			return
		}
		d.ok(err)
	}
	d.durable()
	d.start()
	d.survived()
}

// crash ends the program and what it had not made durable, but for the first keep commits.
func (d *device) crash(keep int) {
	d.disk = d.disk.Crash(keep)
	d.store.crash()
	d.handles, d.frames = map[string]handle{}, nil
	d.dying = false
	d.start()
	d.survived()
}

// survived: what was said to be durable is there after a crash; of the rest the users know
// that it may be gone.
func (d *device) survived() {
	if n := d.names.Written(); d.names.Writer() == d.by && n < d.promised {
		d.w.fail("durable is durable", "%d writes were durable, %d are there", d.promised, n)
	}
	d.w.oracle.forget(d)
	if len(d.w.numbers.forked) > 0 {
		d.w.oracle.crashed()
	}
	d.checkView()
	d.w.saved(d)
}

// durable notes what the device has promised.
func (d *device) durable() { d.by, d.promised = d.names.Writer(), d.names.Synced() }

// broke reports whether the power has failed; then the device is up again, after the crash.
func (d *device) broke(err error) bool {
	if err == nil || !d.dying || errs.KindOf(err) != errs.Other {
		return false
	}
	d.w.stats.Met["power failures amid an operation"]++
	d.crash(d.keep)
	return true
}

// view is what the device shows now.
func (d *device) view() *view {
	if d.seen == nil {
		d.seen = d.look()
	}
	return d.seen
}

// ok ends the play if there is an error.
func (d *device) ok(err error) {
	if err != nil {
		d.w.fail("no error", "%v", err)
	}
}
