package hydration

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/wire"
)

// tableBrought holds the ledger: u64 number of the run, node → row.
const tableBrought = 'g'

// rowVersion is that of the rows. One of another version is skipped, and dropped in time.
const rowVersion = 2

type row struct {
	_       struct{} `cbor:",toarray"`
	V       uint8    // rowVersion
	Program []byte   // what a program calls itself need not be text
	PID     uint32
	Parent  []byte
	Action  string
	Sweep   bool
	Read    int64
	Ahead   int64
	Pinned  int64
	Refused uint64
	First   int64 // unix milliseconds
	Last    int64
	From    []rowSource
}

// rowSource is what one device sent.
type rowSource struct {
	_      struct{} `cbor:",toarray"`
	Device []byte
	Bytes  int64
}

func sourcesOf(from map[ident.DeviceID]int64) (out []rowSource) {
	for dev, n := range from {
		out = append(out, rowSource{Device: dev[:], Bytes: n})
	}
	slices.SortFunc(out, func(a, b rowSource) int { return bytes.Compare(a.Device, b.Device) })
	return out
}

func fromOf(rows []rowSource) map[ident.DeviceID]int64 {
	var out map[ident.DeviceID]int64
	for _, r := range rows {
		if len(r.Device) != len(ident.DeviceID{}) {
			continue
		}
		if out == nil {
			out = map[ident.DeviceID]int64{}
		}
		out[ident.DeviceID(r.Device)] = r.Bytes
	}
	return out
}

func (l *Ledger) key(k entryKey) kv.Key {
	return l.db.Key(tableBrought, kv.U64(k.run), kv.Plain(k.node[:]))
}

// parse is the inverse of key.
func (l *Ledger) parse(k kv.Key) (e entryKey, ok bool) {
	if len(k) != 1+8+len(e.node) {
		return e, false
	}
	e.run = binary.BigEndian.Uint64(k[1:])
	copy(e.node[:], k[9:])
	return e, true
}

func (e *Entry) marshal() []byte {
	return wire.Marshal(row{V: rowVersion, Program: []byte(e.Program), PID: e.PID, Parent: []byte(e.Parent), Action: string(e.Action), Sweep: e.Sweep,
		Read: e.Read, Ahead: e.Ahead, Pinned: e.Pinned, Refused: e.Refused, First: e.First.UnixMilli(), Last: e.Last.UnixMilli(), From: sourcesOf(e.From)})
}

func (l *Ledger) entry(k kv.Key, v []byte) (Entry, bool) {
	key, ok := l.parse(k)
	var r row
	if !ok || wire.Unmarshal(v, &r) != nil || r.V != rowVersion {
		return Entry{}, false
	}
	return Entry{Run: key.run, Node: key.node, Program: string(r.Program), PID: r.PID, Parent: string(r.Parent), Action: Action(r.Action), Sweep: r.Sweep,
		Read: r.Read, Ahead: r.Ahead, Pinned: r.Pinned, Refused: r.Refused, First: time.UnixMilli(r.First), Last: time.UnixMilli(r.Last), From: fromOf(r.From)}, true
}

// row reads one entry. NotExist, Corrupt.
func (l *Ledger) row(key entryKey) (Entry, error) {
	k := l.key(key)
	v, err := l.db.Get(k)
	if err != nil {
		return Entry{}, err
	}
	e, ok := l.entry(k, v)
	if !ok {
		return Entry{}, errs.E("hydration.row", errs.Corrupt, "", nil)
	}
	return e, nil
}
