package kv

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kdf"
)

// A stored value: u8 version | siv 16 | AES-256-CTR ciphertext of the value, counting from siv.
//
//	siv = HMAC-SHA-256(row siv key, u32be length of key || key || value)[:16]
//
// The synthetic iv is nonce and tag in one (as in RFC 5297, with HMAC for its PRF): a nonce
// comes again only with the same key and value, and what opens to a value with another siv is
// refused. A store of small rows is half as large as with a random nonce and a tag. The price:
// who looks at the disk twice sees whether a row has the same value as before.
const (
	rowVersion  = 2
	sivLen      = 16
	rowOverhead = 1 + sivLen
)

// maxValue bounds one value, in bytes: larger things belong into segment files.
const maxValue = 8 << 20

type rowSealer struct {
	enc   cipher.Block
	tools sync.Pool // *rowTools
}

// rowTools are what sealing needs at hand, so that it allocates nothing.
type rowTools struct {
	mac    hash.Hash
	in     []byte
	sum    [sha256.Size]byte
	block  [sivLen]byte
	stream [sivLen]byte
}

func newRowSealer(master []byte) (*rowSealer, error) {
	siv, enc := kdf.Derive(master, kdf.RowSIV), kdf.Derive(master, kdf.RowEnc)
	block, err := aes.NewCipher(enc[:])
	if err != nil {
		return nil, errs.E("kv.Open", errs.Other, "row key", err)
	}
	return &rowSealer{enc: block, tools: sync.Pool{New: func() any { return &rowTools{mac: hmac.New(sha256.New, siv[:])} }}}, nil
}

// siv returns the synthetic iv, valid until the next one.
func (t *rowTools) siv(k Key, value []byte) []byte {
	t.mac.Reset()
	t.in = append(binary.BigEndian.AppendUint32(t.in[:0], uint32(len(k))), k...)
	t.mac.Write(t.in)
	t.mac.Write(value)
	return t.mac.Sum(t.sum[:0])[:sivLen]
}

// shortRow is up to where the standard library's stream, made for each row, costs more than
// it gains.
const shortRow = 1 << 10

// crypt is AES-CTR from the synthetic iv on, in either direction; dst may be src.
func (r *rowSealer) crypt(t *rowTools, siv, dst, src []byte) {
	if len(src) > shortRow {
		cipher.NewCTR(r.enc, siv).XORKeyStream(dst, src)
		return
	}
	hi, lo := binary.BigEndian.Uint64(siv), binary.BigEndian.Uint64(siv[8:])
	for len(src) > 0 {
		binary.BigEndian.PutUint64(t.block[:], hi)
		binary.BigEndian.PutUint64(t.block[8:], lo)
		r.enc.Encrypt(t.stream[:], t.block[:])
		n := subtle.XORBytes(dst, src, t.stream[:])
		dst, src = dst[n:], src[n:]
		if lo++; lo == 0 {
			hi++
		}
	}
}

// seal fills dst, which has len(value)+rowOverhead bytes and does not overlap value.
func (r *rowSealer) seal(dst []byte, k Key, value []byte) {
	t := r.tools.Get().(*rowTools)
	dst[0] = rowVersion
	copy(dst[1:], t.siv(k, value))
	r.crypt(t, dst[1:rowOverhead], dst[rowOverhead:], value)
	r.tools.Put(t)
}

// open appends the value to dst. Every failure is Corrupt.
func (r *rowSealer) open(dst []byte, k Key, row []byte) ([]byte, error) {
	if len(row) < rowOverhead || row[0] != rowVersion {
		return nil, errs.E("kv.Get", errs.Corrupt, tableName(k), nil)
	}
	t := r.tools.Get().(*rowTools)
	defer r.tools.Put(t)
	n := len(dst)
	dst = append(dst, row[rowOverhead:]...)
	value := dst[n:]
	r.crypt(t, row[1:rowOverhead], value, value)
	if !hmac.Equal(t.siv(k, value), row[1:rowOverhead]) {
		clear(value)
		return nil, errs.E("kv.Get", errs.Corrupt, tableName(k), nil)
	}
	return dst, nil
}
