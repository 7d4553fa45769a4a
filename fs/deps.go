package fs

import (
	"context"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/namespace"
)

// Namespace is this device's replica of the tree; *namespace.Replica is one. Reads and
// writes are local: they may touch the disk, never the network. What the methods promise
// is written there.
type Namespace interface {
	Lookup(dir namespace.NodeID, name string) (namespace.Entry, error)
	Get(id namespace.NodeID) (namespace.Entry, error)
	List(dir namespace.NodeID, after uint64, n int) ([]namespace.DirEntry, error)

	Create(dir namespace.NodeID, name string, s namespace.Spec) (namespace.Entry, error)
	Link(id, dir namespace.NodeID, name string) (namespace.Entry, error)
	Commit(id namespace.NodeID, base []namespace.Dot, c blocks.Content, mtime int64, also ...namespace.Also) (namespace.Entry, error)
	CommitLost(was namespace.Entry, c blocks.Content, mtime int64, also ...namespace.Also) (namespace.Entry, error)
	SetAttr(id namespace.NodeID, c namespace.AttrChange, also ...namespace.Also) (namespace.Entry, error)
	Remove(dir namespace.NodeID, name string, wantDir bool) (namespace.Entry, error)
	Rename(srcDir namespace.NodeID, src string, dstDir namespace.NodeID, dst string, f namespace.RenameFlag) (namespace.Entry, *namespace.Entry, error)

	GetXattr(id namespace.NodeID, name string) ([]byte, error)
	SetXattr(id namespace.NodeID, name string, value []byte, f namespace.XattrFlag) error
	ListXattr(id namespace.NodeID) ([]string, error)
	RemoveXattr(id namespace.NodeID, name string) error

	Sync(ctx context.Context) error
}

// Changes tells what is no longer as it was; a *namespace.Watcher that was begun before
// New is one. FS reads it until it is closed.
type Changes interface {
	Next(ctx context.Context) ([]namespace.Change, error)
}

// Blocks brings sealed blocks, from this device or from another; *fetch.Fetcher does.
type Blocks interface {
	// GetBlock brings a block somebody waits for. Offline, Timeout, Corrupt.
	blocks.Getter
	// Ahead says that a sequential reader will soon need ds. It never blocks. cancel
	// withdraws the wish as far as it is not fulfilled; calling it is optional.
	Ahead(ds ...blocks.Digest) (cancel func())
	// Find tells whether a block is on this device, or else on its way because somebody wants it. It
	// never waits.
	Find(d blocks.Digest) (here, coming bool)
}

// Locals are Blocks that tell at once what is on this device.
type Locals interface {
	// Local is GetBlock for a block that is on this device, or false: it waits for nothing but the disk.
	Local(ctx context.Context, d blocks.Digest) (blocks.Sealed, bool)
}

// Parts are Blocks of which a part can be had without the rest.
type Parts interface {
	// GetPart brings a stretch of a block somebody waits for, and returns what open makes of the block's header and
	// the stretch behind it. It is not kept. open may be called more than once. Errors as of GetBlock.
	GetPart(ctx context.Context, d blocks.Digest, s blocks.Span, open func(sent []byte) ([]byte, error)) ([]byte, error)
	// Rest says that all of a block is wanted when nothing else is; as Ahead.
	Rest(d blocks.Digest) (cancel func())
}

// Hints are Blocks for those of which it is known what they belong to, and so perhaps who has them. Who has them is
// asked first; nobody is left out.
type Hints interface {
	// Of is Blocks for the content of one file, which these versions show. What is learnt later of who has
	// it counts as well.
	Of(versions []namespace.Dot) Blocks
	// Ahead is that of Blocks for blocks of several files.
	Ahead(ws ...Wish) (cancel func())
}

// Wish is a block of a file whose content these versions show.
type Wish struct {
	Block    blocks.Digest
	Versions []namespace.Dot
}

// Store keeps the blocks of files that are being written; *cache.Store does.
type Store interface {
	// Stage takes new blocks for node: kept, but neither durable before Sync nor for good
	// before Settle. NoSpace.
	Stage(ctx context.Context, node [16]byte, bs ...blocks.Sealed) error
	// StageHere is Stage for blocks whose bytes are here already, up to the first that is not. It returns how many
	// that are; zero digests count.
	StageHere(ctx context.Context, node [16]byte, ds ...blocks.Digest) (int, error)
	// Sync returns when everything staged before is durable; concurrent calls share work.
	Sync(ctx context.Context) error
	// Settle ends the writing of the nodes in keep: what was staged for a node and is there stays
	// until other devices hold it; the rest is free to go. It does not wait for the disk.
	Settle(keep map[[16]byte][]blocks.Digest) error
}

// Invalidator makes a kernel forget what another device has changed. FS calls it from
// goroutines of its own and holds no lock meanwhile, so it may block; calls about one inode
// come one after the other. NotExist means that the kernel knew nothing of it.
type Invalidator interface {
	// Inode drops an inode's attributes, and with data its cached bytes.
	Inode(ino Ino, data bool) error
	// Entry has what dir shows under name asked for anew, be it a file or the memory that there is none.
	Entry(dir Ino, name string) error
	// Left is Entry for the name of a folder that lies in another one now: what is known below it is dropped, too.
	Left(dir Ino, name string) error
	// Gone is Entry for a name whose inode was removed: who works in it hears of it.
	Gone(dir, child Ino, name string) error
}
