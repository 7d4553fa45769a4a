package sim

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"

	"github.com/shelffs/shelf/internal/errs"
)

// sealer stands for the share's keys: it hides nothing, but what was changed on the way does not
// open.
type sealer struct{}

func (sealer) SealRecord(header, payload []byte) []byte {
	out := make([]byte, len(payload)+8)
	copy(out, payload)
	binary.BigEndian.PutUint64(out[len(payload):], checksum(header, payload))
	return out
}

func (sealer) OpenRecord(header, sealed []byte) ([]byte, error) {
	n := len(sealed) - 8
	if n < 0 || binary.BigEndian.Uint64(sealed[n:]) != checksum(header, sealed[:n]) {
		return nil, errs.E("sim.OpenRecord", errs.Corrupt, "", nil)
	}
	return bytes.Clone(sealed[:n]), nil
}

func (sealer) RegisterKey(node [16]byte, reg []byte) (out [16]byte) {
	h := fnv.New128a()
	h.Write(node[:])
	h.Write(reg)
	h.Sum(out[:0])
	return out
}

// checksum is FNV-1a over eight bytes at a time.
func checksum(parts ...[]byte) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	for _, p := range parts {
		for ; len(p) >= 8; p = p[8:] {
			h = (h ^ binary.LittleEndian.Uint64(p)) * prime
			h ^= h >> 29
		}
		for _, c := range p {
			h = (h ^ uint64(c)) * prime
		}
		h = (h ^ uint64(len(p))) * prime
	}
	return h
}
