package seal

import (
	"crypto/hmac"
	"encoding/binary"
	"slices"

	"github.com/shelffs/shelf/internal/kdf"
)

// A sealed record, P the payload behind its u32 length, padded with zeros to a bucket:
//
//	0  1  suite=1    1  32 siv    33 n AES-256-GCM ciphertext of P    33+n 16 tag
//
//	P   = u32 length || payload || zeros, Padme(4+length) bytes in all
//	siv = HMAC-SHA-256(K_rsiv, u32 length of header || header || P)
//	key = HKDF-Expand(K_renc, "shelf1/record/key" || 0x00 || siv, 32)
//	nonce = 0^12, associated data = suite || header
//
// Share and epoch are bound by the keys, which are derived for them alone.
const (
	recordSuite  = 1
	recordSIVAt  = 1
	recordHead   = recordSIVAt + sivLen
	recordLength = 4

	// RecordOverhead is what sealing adds to the padded payload, length field included.
	RecordOverhead = recordHead + recordLength + tagLen
)

// SealRecord seals a payload to its header, which travels in clear beside it. Equal header
// and payload give equal bytes.
func (s *Sealer) SealRecord(header, payload []byte) []byte {
	t := s.take()
	defer s.give(t)
	padded := int(Padme(uint64(recordLength + len(payload))))
	out := make([]byte, recordHead+padded, recordHead+padded+tagLen)
	out[0] = recordSuite
	p := out[recordHead:]
	binary.BigEndian.PutUint32(p, uint32(len(payload)))
	copy(p[recordLength:], payload)

	t.recordIV(out[recordSIVAt:recordSIVAt], header, p)
	gcm := t.aead(t.recordEnc, kdf.RecordKey, out[recordSIVAt:recordHead])
	ct := gcm.Seal(p[:0], t.nonce[:], p, t.recordAAD(header))
	return out[:recordHead+len(ct)]
}

// OpenRecord is the inverse of SealRecord; sealed comes from a peer or a disk, and
// everything about it is checked. The payload is memory of its own.
func (s *Sealer) OpenRecord(header, sealed []byte) ([]byte, error) {
	const op = "seal.OpenRecord"
	if len(sealed) < RecordOverhead || sealed[0] != recordSuite {
		return nil, corrupt(op, "")
	}
	t := s.take()
	defer s.give(t)
	siv := sealed[recordSIVAt:recordHead]
	gcm := t.aead(t.recordEnc, kdf.RecordKey, siv)
	p, err := gcm.Open(nil, t.nonce[:], sealed[recordHead:], t.recordAAD(header))
	if err != nil {
		return nil, corrupt(op, "")
	}
	sum := t.small[128:128:192]
	t.recordIV(sum, header, p)
	length := uint64(binary.BigEndian.Uint32(p))
	if !hmac.Equal(sum[:sivLen], siv) || Padme(recordLength+length) != uint64(len(p)) || !isZero(p[recordLength+length:]) {
		return nil, corrupt(op, "")
	}
	return p[recordLength : recordLength+length : recordLength+length], nil
}

// recordIV appends the synthetic iv of a padded payload to dst.
func (t *tools) recordIV(dst, header, padded []byte) {
	t.recordSIV.Reset()
	t.recordSIV.Write(binary.BigEndian.AppendUint32(t.small[:0], uint32(len(header))))
	t.recordSIV.Write(header)
	t.recordSIV.Write(padded)
	t.recordSIV.Sum(dst)
}

func (t *tools) recordAAD(header []byte) []byte {
	return append(append(slices.Grow(t.small[:0], 1+len(header)), recordSuite), header...)
}

// RegisterKey names a register of a node to those who hold no key: a PRF of both under a
// key of the share and epoch.
func (s *Sealer) RegisterKey(node [16]byte, reg []byte) [16]byte {
	t := s.take()
	defer s.give(t)
	t.recordReg.Reset()
	t.recordReg.Write(append(t.small[:0], node[:]...))
	t.recordReg.Write(reg)
	return [16]byte(t.recordReg.Sum(t.small[:0]))
}
