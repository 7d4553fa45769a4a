package namespace

import (
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// The tables of the store. Keys hold ids and counters in plain, names only under the store's
// PRF; values are sealed by the store.
const (
	tableNode       = 'n' // node → its registers but xattrs and policies
	tableXattr      = 'x' // node, hidden name → register
	tableBlind      = 'y' // hidden name → register, in a blind replica or of a newer version
	tablePolicy     = 's' // node, device → register
	tableName       = 'd' // parent, hidden name → the nodes that live there under this name
	tableDir        = 'i' // directory → how many live in it, when that last changed
	tableOrigin     = 'o' // id of a conflict copy → the file that holds its bytes
	tableLinks      = 'k' // file, hard link node
	tableDots       = 'l' // the live versions: dots.go
	tableBatches    = 'b' // writer number, first sequence → signed batch
	tableWriters    = 'w' // writer number → writer
	tableHeads      = 'c' // writer number → last sequence and hash of its newest batch
	tableAcks       = 'a' // device → incarnation, claims
	tableUnfinished = 'p' // device → how far its unfinished session came
	tableDead       = 't' // nodes with removals, to be collected some time
	tableBad        = 'q' // number → what was refused
	tableAside      = 'V' // what was dropped with a side of a fork: aside.go
	tableState      = 'v' // state, claims
)

// Keys of the single rows of tableState.
const (
	stateCounters = 0
	stateClaims   = 1
	stateLineage  = 2
	stateBrake    = 4
	stateSelf     = 3 // this device's incarnation, and what its disk looked like
)

// keys builds the keys of rows; those that are needed by the thousand, in memory of the caller's.
type keys struct{ db *kv.DB }

const nodeKeyLen = 1 + len(NodeID{})

func (k keys) appendNode(b kv.Key, n NodeID) kv.Key {
	return k.db.AppendKey(b, tableNode, kv.Plain(n[:]))
}

func (k keys) node(n NodeID) kv.Key    { return k.appendNode(make(kv.Key, 0, nodeKeyLen), n) }
func (k keys) dir(n NodeID) kv.Key     { return k.db.Key(tableDir, kv.Plain(n[:])) }
func (k keys) origin(n NodeID) kv.Key  { return k.db.Key(tableOrigin, kv.Plain(n[:])) }
func (k keys) names(dir NodeID) kv.Key { return k.db.Key(tableName, kv.Plain(dir[:])) }
func (k keys) name(dir NodeID, name string) kv.Key {
	return k.db.Key(tableName, kv.Plain(dir[:]), kv.HiddenString(name))
}
func (k keys) links(n NodeID) kv.Key   { return k.db.Key(tableLinks, kv.Plain(n[:])) }
func (k keys) link(n, l NodeID) kv.Key { return k.db.Key(tableLinks, kv.Plain(n[:]), kv.Plain(l[:])) }
func (k keys) state(which byte) kv.Key { return k.db.Key(tableState, kv.Plain([]byte{which})) }
func (k keys) ack(d ident.DeviceID) kv.Key {
	return k.db.Key(tableAcks, kv.Plain(d[:]))
}
func (k keys) progress(d ident.DeviceID) kv.Key { return k.db.Key(tableUnfinished, kv.Plain(d[:])) }
func (k keys) dead(n NodeID) kv.Key             { return k.db.Key(tableDead, kv.Plain(n[:])) }
func (k keys) xattrs(n NodeID) kv.Key           { return k.db.Key(tableXattr, kv.Plain(n[:])) }
func (k keys) policies(n NodeID) kv.Key         { return k.db.Key(tablePolicy, kv.Plain(n[:])) }
func (k keys) sub(id regID) kv.Key {
	switch id.kind {
	case regXattr:
		return k.db.Key(tableXattr, kv.Plain(id.node[:]), kv.HiddenString(id.sub))
	case regBlind:
		return k.db.Key(tableBlind, kv.Plain([]byte(id.sub)))
	}
	return k.db.Key(tablePolicy, kv.Plain(id.node[:]), kv.Plain([]byte(id.sub)))
}

func (k keys) batches(writer uint32) kv.Key { return k.db.Key(tableBatches, kv.U32(writer)) }
func (k keys) batch(writer uint32, first uint64) kv.Key {
	return k.db.Key(tableBatches, kv.U32(writer), kv.U64(first))
}
func (k keys) writer(n uint32) kv.Key { return k.db.Key(tableWriters, kv.U32(n)) }
func (k keys) bad(n uint64) kv.Key    { return k.db.Key(tableBad, kv.U64(n)) }
func (k keys) head(n uint32) kv.Key   { return k.db.Key(tableHeads, kv.U32(n)) }
