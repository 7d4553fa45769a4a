package fstest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// recordSize divides a page: a record lies in one.
const recordSize = 512

// newRecord says by itself who wrote it, as which of his, and where: nothing of it can come from elsewhere
// or be put together from two.
func newRecord(writer, seq, place uint32) []byte {
	b := make([]byte, recordSize)
	for i := 0; i+12 <= recordSize-4; i += 12 {
		binary.LittleEndian.PutUint32(b[i:], writer+1)
		binary.LittleEndian.PutUint32(b[i+4:], seq)
		binary.LittleEndian.PutUint32(b[i+8:], place)
	}
	binary.LittleEndian.PutUint32(b[recordSize-4:], crc32.ChecksumIEEE(b[:recordSize-4]))
	return b
}

// parse reads a record that lies at a place; present is false for zeros.
func parse(b []byte) (writer, seq, place uint32, present bool, err error) {
	if bytes.Equal(b, make([]byte, recordSize)) {
		return 0, 0, 0, false, nil
	}
	if len(b) != recordSize || crc32.ChecksumIEEE(b[:recordSize-4]) != binary.LittleEndian.Uint32(b[recordSize-4:]) {
		return 0, 0, 0, false, fmt.Errorf("no record: %x…", b[:min(len(b), 16)])
	}
	le := binary.LittleEndian
	return le.Uint32(b) - 1, le.Uint32(b[4:]), le.Uint32(b[8:]), true, nil
}

// parseAll checks the records from a place on.
func parseAll(b []byte, place uint32) error {
	for ; len(b) > 0; place++ {
		n := min(len(b), recordSize)
		_, _, at, present, err := parse(b[:n])
		if err == nil && present && at != place {
			err = fmt.Errorf("it belongs to place %d", at)
		}
		if err != nil {
			return fmt.Errorf("place %d: %w", place, err)
		}
		b = b[n:]
	}
	return nil
}
