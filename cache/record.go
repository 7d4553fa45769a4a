package cache

import (
	"encoding/binary"

	"github.com/shelffs/shelf/blocks"
)

// A record in a segment, beginning at a multiple of 4096 so that a freed one can be punched
// out whole:
//
//	0 4 magic "SHR1" · 4 4 length of the sealed bytes, u32be · 8 32 digest · 40 n sealed bytes
//
// The header lets a segment be read without the index, and a wrong index row be noticed.
const (
	recordHeader = 40
	recordAlign  = 4096
	recordMagic  = "SHR1"
)

// recordLen is what a block of n sealed bytes takes in a segment.
func recordLen(n int) int64 {
	return (int64(n) + recordHeader + recordAlign - 1) &^ (recordAlign - 1)
}

func appendHeader(b []byte, d blocks.Digest, n int) []byte {
	b = append(b, recordMagic...)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return append(b, d[:]...)
}

// parseHeader reports the block that a header announces; ok is false for anything else.
func parseHeader(b []byte) (d blocks.Digest, n int, ok bool) {
	if len(b) < recordHeader || string(b[:4]) != recordMagic {
		return d, 0, false
	}
	n = int(binary.BigEndian.Uint32(b[4:]))
	if n > blocks.MaxSealed {
		return d, 0, false
	}
	return blocks.Digest(b[8:recordHeader]), n, true
}
