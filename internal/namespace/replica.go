package namespace

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Sealer seals record payloads and hides register names; *seal.Sealer is one.
type Sealer interface {
	SealRecord(header, payload []byte) []byte
	OpenRecord(header, sealed []byte) ([]byte, error)
	RegisterKey(node [16]byte, reg []byte) [16]byte
}

// Config is what a Replica is made of. Its functions are called amid operations and must not
// call the Replica.
type Config struct {
	DB     *kv.DB
	Share  ident.ShareID
	Self   ident.DeviceID
	Key    ed25519.PrivateKey          // signs batches; Self is its public half
	Signer Signer                      // of batches; nil: Ed25519, with Key
	Sealer Sealer                      // of epoch 1; nil: the replica is blind
	Known  func(ident.DeviceID) bool   // was this device ever a member of the share? nil: only Self
	Writes func(ident.DeviceID) bool   // did that member ever have a role that writes? nil: all do
	Names  func(ident.DeviceID) string // display names, the same on all devices, for conflict copies; nil: short ids
	Clock  func() time.Time            // nil: time.Now
	Rand   io.Reader                   // nil: crypto/rand
	// Members lists the present devices of the share: who must have acknowledged a removal
	// before it is collected. nil: nothing is collected.
	Members func() []ident.DeviceID
	// Brake says when so many changes of one device are held back that a person has to look,
	// and Released up to where a writer's were released.
	Brake    Brake
	Released func(ident.Writer) uint64 // nil: nothing was
	// Disk is what tells this store from a copy of it: as long as it stays, the store has
	// neither been restored nor copied. Empty: unknown.
	Disk []byte
	// Spelling lets Alike find names that somebody spells otherwise. nil: it finds none.
	Spelling Spelling
	// History is how long old states are kept; 0: DefaultHistory, < 0: none are.
	History time.Duration
	Log     *slog.Logger  // nil: silent
	Group   time.Duration // longest wait of an operation for durability; 0: 5 ms; < 0: only Sync

	reads uint8 // newest version of payloads that this program reads; 0: payloadVersion
}

// epoch is the key epoch that batches are written in. There is only the first one yet.
const epoch = 1

// Replica is an open namespace. All methods may be called by any number of goroutines.
//
// Order of locks: applying, sealing, writing, mu. None is held while waiting for another
// device or a caller.
type Replica struct {
	cfg     Config
	keys    keys
	self    ident.Writer // changes with all locks held (reincarnate)
	selfNum uint32       // its number
	run     uint64       // drawn at Open: tells peers that this is not the process that they spoke to
	names   merge.Names
	log     *slog.Logger

	// applying orders the frames of peers. It guards the fields below it.
	applying   sync.Mutex
	heads      map[ident.Writer]head
	shortened  uint64 // how often one of them was taken back
	sessions   map[ident.DeviceID]*session
	unfinished map[ident.DeviceID]*progress
	brakes     brakes
	frozen     map[ident.Writer]Freeze
	agreed     map[ident.DeviceID]Claims // how far a peer's logs were seen to be the ones here

	// sealing orders batches of this device and changes of claims. It guards own.
	sealing sync.Mutex
	own     head

	// writing orders transactions. It guards the fields below it and all rows that
	// transactions write; reading those needs writing or mu.
	writing sync.Mutex
	next    uint64    // sequence number of the next local write
	pending []written // not yet in a batch: from own.last+1 on
	numbers writerTable
	saved   int // numbers that have a row
	lastT   merge.Stamp
	moments moments
	recent  recent
	scratch scratch
	closed  bool

	// mu lets readers see the store between two transactions, never amid one.
	mu       sync.RWMutex
	state    state
	writers  []ident.Writer // numbers.list as of the last commit
	caches   caches
	linked   linked
	readers  readers
	claims   Claims
	acks     map[ident.DeviceID]Ack
	line     lineage                   // of restored devices
	heldBy   map[ident.DeviceID]bool   // devices that hold back changes of this one
	frozenBy map[ident.DeviceID]uint64 // devices that refuse this one's records, and from where on
	knownTo  map[ident.DeviceID]uint32 // which incarnation of this device, a later one than its first, others were heard to know
	skews    map[ident.DeviceID]time.Duration
	apart    map[ident.DeviceID][]ident.Writer // logs of which a device holds another than is here
	differs  map[ident.DeviceID]difference     // by who claims the same
	asides   int                               // rows of tableAside

	doubted atomic.Uint32 // the incarnation of this device of which a peer knows another log; 0: none. Meanwhile nothing is sent
	reborn  atomic.Int32  // new incarnations since Open
	reverts atomic.Int32  // restores and undos under way
	news    atomic.Uint64 // counts what all peers have to be told anew
	durable atomic.Uint64 // this device's log up to here is in batches and on the disk
	written atomic.Uint64
	signal  signal // claims have advanced
	watch   hub
	bad     quarantine
	group   *grouper
}

// head is the end of a writer's chain of batches.
type head struct {
	last uint64
	hash [32]byte
}

// Open opens the replica in cfg.DB, an empty one where there is none.
func Open(cfg Config) (*Replica, error) {
	const op = "namespace.Open"
	if cfg.DB == nil || len(cfg.Key) != ed25519.PrivateKeySize || ident.DeviceIDOf(cfg.Key) != cfg.Self {
		return nil, errs.E(op, errs.Invalid, "config", nil)
	}
	if cfg.Signer == nil {
		cfg.Signer = edSigner{cfg.Key}
	}
	if cfg.Known == nil {
		cfg.Known = func(d ident.DeviceID) bool { return d == cfg.Self }
	}
	if cfg.Writes == nil {
		cfg.Writes = func(ident.DeviceID) bool { return true }
	}
	if cfg.Names == nil {
		cfg.Names = ident.DeviceID.Short
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.History == 0 {
		cfg.History = DefaultHistory
	}
	if cfg.reads == 0 {
		cfg.reads = payloadVersion
	}
	if cfg.Group == 0 {
		cfg.Group = 5 * time.Millisecond
	}
	var run [8]byte
	if _, err := io.ReadFull(cfg.Rand, run[:]); err != nil {
		return nil, errs.E(op, errs.Other, "", err)
	}
	r := &Replica{
		run: binary.BigEndian.Uint64(run[:]),
		cfg: cfg, keys: keys{cfg.DB}, self: ident.Writer{Device: cfg.Self, Incarnation: 1}, names: cfg.Names, log: cfg.Log,
		heads: map[ident.Writer]head{}, sessions: map[ident.DeviceID]*session{}, apart: map[ident.DeviceID][]ident.Writer{}, agreed: map[ident.DeviceID]Claims{}, acks: map[ident.DeviceID]Ack{},
		unfinished: map[ident.DeviceID]*progress{}, heldBy: map[ident.DeviceID]bool{}, frozen: map[ident.Writer]Freeze{}, frozenBy: map[ident.DeviceID]uint64{}, skews: map[ident.DeviceID]time.Duration{}, knownTo: map[ident.DeviceID]uint32{},
		brakes: brakes{held: map[ident.Writer]Hold{}, counts: map[ident.Writer]burst{}}, line: newLineage(), differs: map[ident.DeviceID]difference{},
		numbers: writerTable{num: map[ident.Writer]uint32{}},
	}
	r.signal.init()
	r.group = startGroup(cfg.Group, r.flush)
	if err := r.load(); err != nil {
		r.group.stop()
		return nil, errs.E(op, errs.Other, "", err)
	}
	if len(r.pending) > 0 {
		r.group.kick()
	}
	return r, nil
}

// Close makes everything durable and ends the replica; cfg.DB stays open.
func (r *Replica) Close() error {
	r.group.stop()
	r.writing.Lock()
	again := r.closed
	r.closed = true
	r.writing.Unlock()
	if again {
		return nil
	}
	err := errors.Join(r.saveProgress(), r.flush())
	r.watch.close()
	return err
}

// read runs fn over the present state.
func (r *Replica) read(fn func(t *tx) error) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := r.readers.take()
	if t == nil {
		t = r.reader()
	}
	err := fn(t)
	if t.err != nil {
		return t.err
	}
	r.readers.put(t)
	return err
}

// reader reads the present state. It needs mu or writing as long as it is used.
func (r *Replica) reader() *tx {
	return &tx{keys: r.keys, r: r, src: r.cfg.DB, caches: &r.caches, writers: r.writers, state: r.state}
}

// update is transact for a user's operation; blind and reading replicas have none.
func (r *Replica) update(op string, fn func(t *tx) error) error {
	if r.blind() {
		return cannotSee(op)
	}
	if !r.cfg.Writes(r.cfg.Self) {
		return errs.E(op, errs.ReadOnly, "", nil)
	}
	return r.transact(op, func(t *tx) error {
		if err := fn(t); err != nil {
			return err
		}
		t.repeatPlaces()
		return nil
	})
}

// transact runs fn in a transaction and commits it unless fn fails.
func (r *Replica) transact(op string, fn func(t *tx) error) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.closed {
		return errs.E(op, errs.Closed, "", nil)
	}
	t := r.reader()
	defer func() { t.scratch.release() }()
	t.changes = newChanges()
	t.next, t.author = r.next, r.self
	t.unaudited = r.unaudited()
	if err := fn(t); err != nil {
		return err
	}
	if t.err != nil {
		return t.err
	}
	return r.commit(op, t)
}

// entryOp is update for operations that result in an entry.
func (r *Replica) entryOp(op string, fn func(t *tx) (NodeID, error)) (e Entry, err error) {
	err = r.update(op, func(t *tx) error {
		id, err := fn(t)
		if err != nil {
			return err
		}
		var ok bool
		if e, ok = t.entryOf(id); !ok {
			return errs.E(op, errs.Stale, "", t.err)
		}
		return nil
	})
	return e, err
}

// tick is the clock as a stamp, always later than the tick before; but if the clock was set
// back, that is followed. Needs writing.
func (r *Replica) tick() merge.Stamp {
	const second = 1000 << 16
	t := merge.StampAt(r.cfg.Clock())
	if t <= r.lastT && r.lastT-t < second {
		t = r.lastT + 1
	}
	r.lastT = t
	return t
}

// Sync returns when all operations that returned before are durable.
func (r *Replica) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return errs.E("namespace.Sync", errs.Interrupted, "", err)
	}
	if r.durable.Load() >= r.written.Load() {
		return nil
	}
	return r.flush()
}

// Synced is the highest sequence number of this device's log that is durable.
func (r *Replica) Synced() uint64 { return r.durable.Load() }

// Written is the highest sequence number of this device's log.
func (r *Replica) Written() uint64 { return r.written.Load() }

// Stat returns the totals of the share.
func (r *Replica) Stat() Totals {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.totals
}

// NamesChanged tells the replica that Config.Names answers differently now: the names of
// conflict copies may have changed.
func (r *Replica) NamesChanged() { r.watch.publish([]Change{{What: Overflow}}) }
