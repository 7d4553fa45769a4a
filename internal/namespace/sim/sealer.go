package sim

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// sealer stands for the share's keys: it hides nothing, but what was changed on the way does not
// open. It sees every record on its way out, and so whether a device uses a number again for
// something else after others have seen it (invariant 27).
type sealer struct {
	w       *world
	sending bool // records sealed now leave the device
}

func (s *sealer) SealRecord(header, payload []byte) []byte {
	out := make([]byte, len(payload)+8)
	copy(out, payload)
	binary.BigEndian.PutUint64(out[len(payload):], checksum(header, payload))
	s.watch(header, out)
	return out
}

func (s *sealer) OpenRecord(header, sealed []byte) ([]byte, error) {
	n := len(sealed) - 8
	if n < 0 || binary.BigEndian.Uint64(sealed[n:]) != checksum(header, sealed[:n]) {
		return nil, errs.E("sim.OpenRecord", errs.Corrupt, "", nil)
	}
	return bytes.Clone(sealed[:n]), nil
}

func (s *sealer) RegisterKey(node [16]byte, reg []byte) (out [16]byte) {
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

// dot names a record by what its header begins with: writer 36 | version 1 | register 16 |
// class 1 | uvarint sequence.
type dot struct {
	writer ident.Writer
	seq    uint64
}

func (s *sealer) watch(header, sealed []byte) {
	d := dot{writer: ident.Writer{Device: ident.DeviceID(header[:32]), Incarnation: binary.BigEndian.Uint32(header[32:])}}
	d.seq, _ = binary.Uvarint(header[36+1+16+1:])
	sum := checksum(header, sealed)
	was, sent := s.w.sent[d]
	if sent && was != sum && !s.w.restored { // a disk put back does not know what it has sent

		s.w.fail("number used again", "write %d of %s is not what it was when it was sent", d.seq, s.w.name(d.writer.Device))
	}
	if s.sending {
		s.w.sent[d] = sum
	}
}
