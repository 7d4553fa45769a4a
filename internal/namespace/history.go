package namespace

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// History is what this device showed when. It is local: no other device sees it, nothing is
// merged, and it is there without network. Whenever a transaction makes a name stop showing
// something as it did, one row keeps the old state, in the same batch. A state that still shows
// has no row, so that what is only made costs nothing.
//
// Left out are states that nobody would look for: those that the device which ended them had
// itself made less than fleeting before (temporary files, the steps of a save), and empty files
// that got contents; but what was one version of a conflict, or what a restore or an undo replaces, is always kept. Rows go by time alone
// (Config.History).

// DefaultHistory is how long old states are kept.
const DefaultHistory = 30 * 24 * time.Hour

// fleeting is how long a state must have been there to leave a row.
const fleeting = 2 * time.Second

// How says how a state ended. The numbers are part of the row format.
type How uint8

const (
	Overwritten How = 1 // the file shows other bytes
	Removed     How = 2 // the name was removed
	Replaced    How = 3 // something else was renamed over it
	Moved       How = 4 // it shows elsewhere
	Decided     How = 5 // a conflict copy was discarded
)

// Former is how a name once showed on this device. Of Entry it has what stat tells, Parent, Name,
// Writer and Stamp; Conflict, if there was one, only as a sign.
type Former struct {
	Entry
	Key   FormerKey
	From  int64 // nanoseconds: since when, by the clock of who made it; never after Until
	How   How
	By    ident.DeviceID // whose change ended it; zero: not known
	Local bool           // that change was made on this device
	node  NodeID         // which has the name: a hard link is one of its own
	left  left
}

// Until is when the state ended: nanoseconds, this device's clock.
func (f *Former) Until() int64 { return int64(f.Key.Until) }

// FormerKey names a row: when the state ended, and a hash of it. All rows of one transaction
// have the same Until, and no others.
type FormerKey struct {
	Until uint64
	Hash  uint32
}

// String is a short name, unique enough among the versions of one path.
func (k FormerKey) String() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint32(nil, k.Hash))
}

// left is what a change left behind: undoing it asks whether that still stands.
type left struct {
	node         NodeID // what the name stands for, or the file that went; zero: nothing
	place, bytes Dot    // the placement of its name, and its contents
}

// The tables of history. Rows lie in order of time, two indexes lead to them.
const (
	tableFormer     = 'H' // until, hash → state
	tableFormerName = 'D' // parent, hidden name, until, hash
	tableFormerNode = 'N' // node, until, hash
)

const formerKeyLen = 8 + 4

func (f FormerKey) parts() []kv.Part { return []kv.Part{kv.U64(f.Until), kv.U32(f.Hash)} }

func (k keys) former(f FormerKey) kv.Key { return k.db.Key(tableFormer, f.parts()...) }
func (k keys) formerDir(dir NodeID) kv.Key {
	return k.db.Key(tableFormerName, kv.Plain(dir[:]))
}
func (k keys) formerName(dir NodeID, name string) kv.Key {
	return k.db.Key(tableFormerName, kv.Plain(dir[:]), kv.HiddenString(name))
}
func (k keys) formerNode(n NodeID) kv.Key { return k.db.Key(tableFormerNode, kv.Plain(n[:])) }

// keyAt reads the end of an index key.
func keyAt(k kv.Key) (f FormerKey, ok bool) {
	if len(k) < formerKeyLen {
		return f, false
	}
	k = k[len(k)-formerKeyLen:]
	return FormerKey{binary.BigEndian.Uint64(k), binary.BigEndian.Uint32(k[8:])}, true
}

func (t *writerTable) appendLeft(b []byte, l left) []byte {
	b = append(b, l.node[:]...)
	for _, d := range []Dot{l.place, l.bytes} {
		if d.IsZero() {
			b = append(b, 0)
		} else {
			b = t.appendDot(append(b, 1), d)
		}
	}
	return b
}

func (d *rowDecoder) left() (l left) {
	l.node = d.id()
	for _, dot := range []*Dot{&l.place, &l.bytes} {
		if d.byte() != 0 {
			*dot = d.dot()
		}
	}
	return l
}

const (
	formerLocal    = 1
	formerConflict = 2
	formerLink     = 4
)

func (t *writerTable) encodeFormer(f *Former, written, by ident.Writer) []byte {
	b := append(make([]byte, 0, 256), rowVersion)
	b = append(append(b, f.ID[:]...), f.Parent[:]...)
	b = appendString(b, f.Name)
	bytes := merge.Bytes{Kind: f.Kind, Content: f.Content, Target: f.Target, Rdev: f.Rdev}
	b = appendBody(b, &merge.Body{Bytes: bytes, Mtime: f.Mtime, Mode: f.Mode, UID: f.UID, GID: f.GID})
	b = appendUvarint(b, uint64(f.Stamp))
	b = appendVarint(b, f.From)
	flags := byte(0)
	if f.Local {
		flags |= formerLocal
	}
	if f.Conflict != nil {
		flags |= formerConflict
	}
	if f.node != f.ID {
		flags |= formerLink
	}
	b = append(b, byte(f.How), flags)
	for _, w := range []ident.Writer{written, by} {
		n := uint64(0)
		if w != (ident.Writer{}) {
			n = uint64(t.number(w)) + 1
		}
		b = appendUvarint(b, n)
	}
	if b = t.appendLeft(b, f.left); f.node != f.ID {
		b = append(b, f.node[:]...)
	}
	return b
}

func (d *rowDecoder) device() (id ident.DeviceID) {
	switch n := d.uvarint(); {
	case n > uint64(len(d.writers)):
		d.fail()
	case n > 0:
		id = d.writers[n-1].Device
	}
	return id
}

func decodeFormer(k FormerKey, row []byte, writers []ident.Writer) (Former, error) {
	d := rowDecoder{decoder: decoder{b: row}, writers: writers}
	version := d.byte()
	f := Former{Key: k, Entry: Entry{ID: d.id(), Parent: d.id(), Name: d.string(), Nlink: 1}}
	body := d.body(f.ID)
	f.Kind, f.Content, f.Target, f.Rdev = body.Bytes.Kind, body.Bytes.Content, body.Bytes.Target, body.Bytes.Rdev
	f.Mode, f.UID, f.GID, f.Mtime = body.Mode, body.UID, body.GID, body.Mtime
	f.Ctime, f.Atime = f.Mtime, f.Mtime
	f.Stamp, f.From = merge.Stamp(d.uvarint()), d.varint()
	f.How = How(d.byte())
	flags := d.byte()
	f.Local = flags&formerLocal != 0
	f.Writer, f.By = d.device(), d.device()
	if flags&formerConflict != 0 {
		f.Conflict = &Conflict{Device: f.Writer, When: f.Stamp.Time()}
	}
	f.left = d.left()
	if f.node = f.ID; flags&formerLink != 0 {
		f.node = d.id()
	}
	if !d.end() || version != rowVersion || f.How < Overwritten || f.How > Decided || !f.Parent.IsDir() || !validName(f.Name) {
		return Former{}, corruptRow("history")
	}
	return f, nil
}

// former reads a row; false where there is none any more.
func (t *tx) former(k FormerKey) (Former, bool) {
	row := t.get(t.keys.former(k))
	if row == nil {
		return Former{}, false
	}
	f, err := decodeFormer(k, row, t.writers)
	t.fail(err)
	return f, err == nil
}

// formers reads the rows that an index leads to, newest first.
func (t *tx) formers(index kv.Key) (out []Former) {
	var at []FormerKey
	t.fail(t.src.ScanKeys(index, func(k kv.Key) bool {
		if f, ok := keyAt(k); ok && len(k) == len(index)+formerKeyLen {
			at = append(at, f)
		}
		return true
	}))
	slices.Reverse(at)
	for _, k := range at {
		if f, ok := t.former(k); ok {
			out = append(out, f)
		}
	}
	return out
}

func hashRow(row []byte) uint32 {
	sum := sha256.Sum256(row)
	return binary.BigEndian.Uint32(sum[:])
}
