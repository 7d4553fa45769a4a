package kv

import (
	"crypto/cipher"
	"crypto/rand"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/shelffs/shelf/internal/errs"
)

// A stored value: u8 version | 24 bytes random nonce | XChaCha20-Poly1305 ciphertext and tag,
// with the row's whole key as associated data.
const (
	rowVersion  = 1
	rowHeader   = 1 + chacha20poly1305.NonceSizeX
	rowOverhead = rowHeader + chacha20poly1305.Overhead
)

// maxValue bounds one value, in bytes: larger things belong into segment files.
const maxValue = 8 << 20

type rowSealer struct{ aead cipher.AEAD }

func newRowSealer(key [32]byte) (*rowSealer, error) {
	a, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		return nil, errs.E("kv.Open", errs.Other, "row key", err)
	}
	return &rowSealer{aead: a}, nil
}

// seal fills dst, which has len(value)+rowOverhead bytes and does not overlap value.
func (r *rowSealer) seal(dst []byte, k Key, value []byte) {
	dst[0] = rowVersion
	nonce := dst[1:rowHeader:rowHeader]
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the program instead
	r.aead.Seal(dst[rowHeader:rowHeader], nonce, value, k)
}

// open appends the value to dst. Every failure is Corrupt.
func (r *rowSealer) open(dst []byte, k Key, row []byte) ([]byte, error) {
	if len(row) < rowOverhead || row[0] != rowVersion {
		return nil, errs.E("kv.Get", errs.Corrupt, tableName(k), nil)
	}
	out, err := r.aead.Open(dst, row[1:rowHeader], row[rowHeader:], k)
	if err != nil {
		return nil, errs.E("kv.Get", errs.Corrupt, tableName(k), err)
	}
	return out, nil
}
