// Package chunker cuts bytes into chunks at places that their content decides, so that an
// insertion moves the cuts with the bytes and all chunks but the touched ones stay what
// they were. It is pure: no clock, no randomness, no state between calls.
//
// The method is FastCDC (Xia et al., USENIX ATC 2016): a gear hash over the last 64 bytes,
// with a strict condition before the normal size and a loose one after it. The gear table
// comes from a secret key, so that who sees the lengths of sealed blocks cannot try known
// files against them.
package chunker

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"io"
)

// Sizes of chunks in bytes. Only the last chunk of a stream may be shorter than Min.
const (
	Min    = 64 << 10
	Normal = 256 << 10
	Max    = 1 << 20
)

const (
	window = 64 // bytes that decide about a cut: each is shifted out of the 64-bit hash after 64 more
	strict = 1 << (64 - 20)
	loose  = 1 << (64 - 16)
)

// Chunker finds boundaries under one key. It is immutable and safe for concurrent use.
type Chunker struct {
	gear [256]uint64
}

// New makes the chunker of a key. The gear table is the first 2048 bytes of AES-256-CTR
// keystream (initial counter block zero), read as 256 big-endian integers; the key must be
// used for nothing else.
func New(key [32]byte) *Chunker {
	block, err := aes.NewCipher(key[:])
	if err != nil { // the key's length is right
		panic("chunker: " + err.Error())
	}
	var stream [256 * 8]byte
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(stream[:], stream[:])
	c := &Chunker{}
	for i := range c.gear {
		c.gear[i] = binary.BigEndian.Uint64(stream[8*i:])
	}
	return c
}

// Cut returns the length of the first chunk of a stream that begins with data, or 0 when
// more bytes are needed to know. Lengths up to scanned are not looked at: pass what an
// earlier call has seen without finding a cut, otherwise 0. Whether a chunk ends after n
// bytes depends on those n bytes only, never on what follows.
func (c *Chunker) Cut(data []byte, scanned int) int {
	n := c.scan(data, max(scanned, Min-1), min(len(data), Normal-1), strict)
	if n == 0 {
		n = c.scan(data, max(scanned, Normal-1), min(len(data), Max-1), loose)
	}
	if n == 0 && len(data) >= Max {
		n = Max
	}
	return n
}

// scan looks for a cut at lengths from+1 … to and returns the first, or 0.
func (c *Chunker) scan(data []byte, from, to int, limit uint64) int {
	if from >= to {
		return 0
	}
	var h uint64
	for _, b := range data[from+1-window : from] {
		h = h<<1 + c.gear[b]
	}
	for i, b := range data[from:to] {
		h = h<<1 + c.gear[b]
		if h < limit {
			return from + i + 1
		}
	}
	return 0
}

// Split reads r to its end and calls emit with each chunk in order. The slice is valid
// only during the call. An empty stream has no chunks. The first error of r or emit ends
// the work and is returned as it is.
func (c *Chunker) Split(r io.Reader, emit func(chunk []byte) error) error {
	buf := make([]byte, 2*Max)
	start, end, scanned := 0, 0, 0
	for {
		if n := c.Cut(buf[start:end], scanned); n > 0 {
			if err := emit(buf[start : start+n]); err != nil {
				return err
			}
			start, scanned = start+n, 0
			continue
		}
		scanned = end - start
		if start > 0 && len(buf)-end < Min {
			end = copy(buf, buf[start:end])
			start = 0
		}
		n, err := io.ReadAtLeast(r, buf[end:], 1)
		end += n
		switch {
		case err == io.EOF && end > start:
			return emit(buf[start:end])
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
