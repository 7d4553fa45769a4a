package kv

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"

	"github.com/shelffs/shelf/internal/errs"
)

// HiddenLen is how many bytes a Hidden part takes in a key.
const HiddenLen = 16

// maxKey bounds a whole key, in bytes.
const maxKey = 4096

// Key is a row's key as it lies on the disk: one table byte, then the parts one after the
// other. Parts carry no length: a table whose plain parts vary in length may have only the
// last one vary.
type Key []byte

// Table is the key's table byte (0 for an empty key).
func (k Key) Table() byte {
	if len(k) == 0 {
		return 0
	}
	return k[0]
}

// Clone returns a copy that the caller owns.
func (k Key) Clone() Key { return append(Key(nil), k...) }

// Part is one part of a key; make it with Plain, Hidden, HiddenString, U64 or U32.
type Part struct {
	kind partKind
	b    []byte
	s    string
	n    uint64
}

type partKind uint8

const (
	partPlain partKind = iota
	partHidden
	partU64
	partU32
)

// Plain is a part stored as it is: scans see it in byte order, and so does whoever reads
// the disk. Only for what says nothing (random ids, counters).
func Plain(b []byte) Part { return Part{kind: partPlain, b: b} }

// Hidden is a part stored as a 16-byte PRF of itself and of the key before it: equal parts
// under different prefixes look unrelated.
func Hidden(b []byte) Part { return Part{kind: partHidden, b: b} }

// HiddenString is Hidden for a string, without copying it.
func HiddenString(s string) Part { return Part{kind: partHidden, s: s} }

// U64 is a plain part of eight bytes, big-endian, so that numbers scan in order.
func U64(n uint64) Part { return Part{kind: partU64, n: n} }

// U32 is U64 in four bytes.
func U32(n uint32) Part { return Part{kind: partU32, n: uint64(n)} }

// keyer builds keys under the local row key.
type keyer struct{ pool sync.Pool }

func newKeyer(prf func() hash.Hash) *keyer {
	return &keyer{pool: sync.Pool{New: func() any { return &prfState{mac: prf()} }}}
}

type prfState struct {
	mac hash.Hash
	sum [sha256.Size]byte
	in  []byte // length of the key before the part, that key, the part
}

// appendHidden appends the PRF of (dst as it stands, part). What goes into it is copied first,
// so that keys and names can stay on their makers' stacks.
func (kr *keyer) appendHidden(dst []byte, p *Part) []byte {
	st := kr.pool.Get().(*prfState)
	st.in = binary.BigEndian.AppendUint32(st.in[:0], uint32(len(dst)))
	st.in = append(append(append(st.in, dst...), p.b...), p.s...)
	st.mac.Reset()
	st.mac.Write(st.in)
	dst = append(dst, st.mac.Sum(st.sum[:0])[:HiddenLen]...)
	kr.pool.Put(st)
	return dst
}

// size is how many bytes the part takes in a key.
func (p *Part) size() int {
	switch p.kind {
	case partHidden:
		return HiddenLen
	case partU64:
		return 8
	case partU32:
		return 4
	}
	return len(p.b)
}

// Key builds a key of the given table. Tables 0 and 255 are the store's
// own: rows there are refused.
func (db *DB) Key(table byte, parts ...Part) Key {
	n := 1
	for i := range parts {
		n += parts[i].size()
	}
	return db.AppendKey(make(Key, 0, n), table, parts...)
}

// AppendKey is Key into a buffer of the caller's. dst must be empty or it becomes the
// beginning of the key, table byte and all.
func (db *DB) AppendKey(dst Key, table byte, parts ...Part) Key {
	dst = append(dst, table)
	return db.Extend(dst, parts...)
}

// Extend appends further parts to a key made by Key. The result may share k's memory.
func (db *DB) Extend(k Key, parts ...Part) Key {
	for i := range parts {
		switch p := &parts[i]; p.kind {
		case partPlain:
			k = append(k, p.b...)
		case partHidden:
			k = db.keys.appendHidden(k, p)
		case partU64:
			k = binary.BigEndian.AppendUint64(k, p.n)
		case partU32:
			k = binary.BigEndian.AppendUint32(k, uint32(p.n))
		}
	}
	return k
}

// successor is the smallest key greater than every key that begins with prefix; nil means
// there is none.
func successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			s := append([]byte(nil), prefix[:i+1]...)
			s[i]++
			return s
		}
	}
	return nil
}

// checkKey refuses keys that no caller may write.
func checkKey(op string, k Key) error {
	switch {
	case len(k) == 0 || k[0] == tableOwn || k[0] == 0xff:
		return errs.E(op, errs.Invalid, tableName(k), nil)
	case len(k) > maxKey:
		return errs.E(op, errs.TooLarge, tableName(k), nil)
	}
	return nil
}

// tableName is how errors name the table of a key, and nothing more of it.
func tableName(k Key) string {
	if len(k) == 0 {
		return "empty key"
	}
	if c := k[0]; c > ' ' && c < 0x7f {
		return fmt.Sprintf("table %q", c)
	}
	return fmt.Sprintf("table %#02x", k[0])
}
