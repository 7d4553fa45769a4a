package namespace

import (
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// Sealer seals record payloads and hides register names; *seal.Sealer is one.
type Sealer interface {
	SealRecord(header, payload []byte) []byte
	OpenRecord(header, sealed []byte) ([]byte, error)
	RegisterKey(node [16]byte, reg []byte) [16]byte
}

// Config is what a Replica is made of.
type Config struct {
	DB     *kv.DB
	Share  ident.ShareID
	Self   ident.DeviceID
	Key    ed25519.PrivateKey          // signs batches; Self is its public half
	Sealer Sealer                      // of epoch 1
	Known  func(ident.DeviceID) bool   // may this device write in the share? nil: only Self
	Names  func(ident.DeviceID) string // display names, for conflict copies; nil: short ids
	Clock  func() time.Time            // nil: time.Now
	Rand   io.Reader                   // nil: crypto/rand
	Log    *slog.Logger                // nil: silent
	Group  time.Duration               // longest wait of an operation for durability; 0: 5 ms; < 0: only Sync
}

// Replica is an open namespace. All methods may be called by any number of goroutines.
type Replica struct{}

// Open opens the replica in cfg.DB, an empty one where there is none.
func Open(cfg Config) (*Replica, error) { panic("unfinished") }

// Close makes everything durable and ends the replica; cfg.DB stays open.
func (r *Replica) Close() error { panic("unfinished") }

// Lookup returns what dir shows under name. NotExist, NotDir; Stale when dir is gone.
func (r *Replica) Lookup(dir NodeID, name string) (Entry, error) { panic("unfinished") }

// Get returns the entry of a node by its first name; ids of conflict copies work too. Stale
// when it is shown nowhere.
func (r *Replica) Get(id NodeID) (Entry, error) { panic("unfinished") }

// List returns up to about n entries of dir after a cookie (0: from the beginning); none
// means the end. "." and ".." are not among them.
func (r *Replica) List(dir NodeID, after uint64, n int) ([]DirEntry, error) { panic("unfinished") }

// Stat returns the totals of the share.
func (r *Replica) Stat() Totals { panic("unfinished") }

// Path returns the slash-separated path of a node from the root, without a leading slash.
func (r *Replica) Path(id NodeID) (string, error) { panic("unfinished") }

// Resolve is the inverse of Path; it follows no symlinks, and ignores empty and "." elements.
func (r *Replica) Resolve(path string) (Entry, error) { panic("unfinished") }

// Create makes a node. Exist, NotDir, NameTooLong, Invalid, Stale (dir was removed).
func (r *Replica) Create(dir NodeID, name string, s Spec) (Entry, error) { panic("unfinished") }

// Link gives a file a further name. Exist, Forbidden (a directory), Stale.
func (r *Replica) Link(id, dir NodeID, name string) (Entry, error) { panic("unfinished") }

// Commit gives a file new bytes, whose blocks must be durable. base are the Versions that the
// writer had seen; versions it had not seen stay, as conflict copies. A nil base means those
// shown now. mtime 0 means now. A file that was removed elsewhere comes back. The id of a
// conflict copy works, and stays the copy's id.
func (r *Replica) Commit(id NodeID, base []Dot, content blocks.Content, mtime int64) (Entry, error) {
	panic("unfinished")
}

// SetAttr changes attributes.
func (r *Replica) SetAttr(id NodeID, c AttrChange) (Entry, error) { panic("unfinished") }

// GetXattr returns an extended attribute. NoAttr.
func (r *Replica) GetXattr(id NodeID, name string) ([]byte, error) { panic("unfinished") }

// SetXattr sets one. Exist, NoAttr (flags), NoSpace (over MaxXattr), Range (name too long).
func (r *Replica) SetXattr(id NodeID, name string, value []byte, f XattrFlag) error {
	panic("unfinished")
}

// ListXattr returns the names, sorted.
func (r *Replica) ListXattr(id NodeID) ([]string, error) { panic("unfinished") }

// RemoveXattr removes one. NoAttr.
func (r *Replica) RemoveXattr(id NodeID, name string) error { panic("unfinished") }

// Remove removes a name: a file's (wantDir false: unlink; IsDir for a directory) or an empty
// directory's (NotDir, NotEmpty). It returns the entry that was there; its Nlink is the
// number of names left.
func (r *Replica) Remove(dir NodeID, name string, wantDir bool) (Entry, error) {
	panic("unfinished")
}

// Rename moves a name, as rename(2) and renameat2(2) do. The source keeps its id; a replaced
// target is removed, and its explicit placements pass to the source. It returns the entry
// moved and the one replaced (nil for none; Nlink: names left). Loop, NotEmpty, IsDir, NotDir,
// Exist, NotExist.
func (r *Replica) Rename(srcDir NodeID, src string, dstDir NodeID, dst string, f RenameFlag) (moved Entry, replaced *Entry, err error) {
	panic("unfinished")
}

// SetPlacement says how a device is to keep a node's bytes (a directory: all that is or
// comes below it, unless it says otherwise itself). Inherited takes it back.
func (r *Replica) SetPlacement(id NodeID, dev ident.DeviceID, p Placement) error {
	panic("unfinished")
}

// Placement returns the placement in effect (never Inherited) and the node's own.
func (r *Replica) Placement(id NodeID, dev ident.DeviceID) (effective, own Placement, err error) {
	panic("unfinished")
}

// Sync returns when all operations that returned before are durable.
func (r *Replica) Sync(ctx context.Context) error { panic("unfinished") }

// Synced is the highest sequence number of this device's log that is durable, and Written
// the highest there is.
func (r *Replica) Synced() uint64  { panic("unfinished") }
func (r *Replica) Written() uint64 { panic("unfinished") }

// Watch begins a subscription to changes made after the call.
func (r *Replica) Watch() *Watcher { panic("unfinished") }

// NamesChanged tells the replica that Config.Names answers differently now.
func (r *Replica) NamesChanged() { panic("unfinished") }
