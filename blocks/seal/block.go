package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kdf"
)

// Type says what a sealed block holds. It stands in the header and is authenticated, so
// that a block of one type never opens as another.
type Type uint8

const (
	Data     Type = 1
	Manifest Type = 2
)

// The format, all integers big-endian, P the plaintext padded with zeros to Padme(length), P_i its parts of
// blocks.PartLen bytes, of which the last has the padding, too:
//
//	0  4  magic "SHB1"    4 1 suite=2    5 1 type    6 2 zero
//	8  4  epoch           12 4 length of P           16 32 siv
//	48 n  AES-256-GCM ciphertext of P                48+n 16 tag
//
//	siv = HMAC-SHA-256(K_siv, header[0:16] || ShareID || scope || SHA-256(P_0) || SHA-256(P_1) || …)
//	key = HKDF-Expand(K_enc, "shelf1/block/key" || 0x00 || siv, 32)
//	nonce = 0^12, associated data = header[0:48] || ShareID
//
// scope is 16 zero bytes: the whole share is one domain of deduplication.
//
// Suite 1, which is opened but not written any more, has P itself in the place of the parts' hashes.
const (
	magic    = "SHB1"
	suite    = 2
	suiteOne = 1
	suiteAt  = 4
	sivAt    = 16
	sivLen   = 32
	headLen  = blocks.HeadLen
	tagLen   = 16
	nonceLen = 12
	scopeLen = 16

	// Overhead is what sealing adds to a padded plaintext, in bytes.
	Overhead = headLen + tagLen
	// MaxPlain is the longest plaintext of one block, in bytes: the largest bucket that
	// fits a sealed block with its overhead.
	MaxPlain = blocks.MaxSealed - 64<<10
)

// Seal makes the sealed block of plain (at most MaxPlain bytes, else TooLarge). Equal
// plaintext of one type gives equal blocks.
func (s *Sealer) Seal(typ Type, plain []byte) (blocks.Sealed, error) {
	if len(plain) > MaxPlain {
		return blocks.Sealed{}, errs.E("seal.Seal", errs.TooLarge, "", nil)
	}
	return s.AppendSeal(make([]byte, 0, Overhead+Padme(uint64(len(plain)))), typ, plain)
}

// AppendSeal is Seal into the caller's memory: the block's bytes are appended to dst,
// which must not overlap plain. With Overhead+Padme(len(plain)) bytes to spare in dst,
// only the cipher's key schedule is allocated.
func (s *Sealer) AppendSeal(dst []byte, typ Type, plain []byte) (blocks.Sealed, error) {
	b, _, err := s.seal(dst, typ, plain)
	return b, err
}

// AppendData is AppendSeal for a data block; it also returns what a Ref is to know of its parts.
func (s *Sealer) AppendData(dst, plain []byte) (blocks.Sealed, blocks.Ref, error) {
	b, sums, err := s.seal(dst, Data, plain)
	return b, blocks.Ref{Digest: b.Digest, Length: uint64(len(plain)), Sums: sums}, err
}

func (s *Sealer) seal(dst []byte, typ Type, plain []byte) (_ blocks.Sealed, sums string, _ error) {
	if typ != Data && typ != Manifest {
		return blocks.Sealed{}, "", errs.E("seal.Seal", errs.Invalid, "type", nil)
	}
	if len(plain) > MaxPlain {
		return blocks.Sealed{}, "", errs.E("seal.Seal", errs.TooLarge, "", nil)
	}
	t := s.take()
	defer s.give(t)

	padded := int(Padme(uint64(len(plain))))
	start, total := len(dst), Overhead+padded
	dst = slices.Grow(dst, total)[:start+total]
	b := dst[start : start+total : start+total]

	s.putHead(b, suite, typ, padded)
	p := b[headLen : headLen+padded]
	clear(p[copy(p, plain):])
	t.sums = s.putSIV(t, b[sivAt:sivAt:headLen], b[:sivAt], p, uint64(len(plain)), t.sums[:0])
	if len(t.sums) > blocks.SumLen {
		sums = string(t.sums)
	}
	gcm := t.aead(t.blockEnc, kdf.BlockKey, b[sivAt:headLen])
	gcm.Seal(p[:0], t.nonce[:], p, s.aad(t, b))
	return blocks.New(b), sums, nil
}

// SealManifest makes the sealed block of a manifest.
func (s *Sealer) SealManifest(m blocks.Manifest) (blocks.Sealed, error) {
	t := s.take()
	defer s.give(t)
	t.plain = m.Append(t.plain[:0])
	return s.Seal(Manifest, t.plain)
}

func (s *Sealer) putHead(b []byte, suite byte, typ Type, padded int) {
	copy(b, magic)
	b[suiteAt], b[5], b[6], b[7] = suite, byte(typ), 0, 0
	binary.BigEndian.PutUint32(b[8:], s.epoch)
	binary.BigEndian.PutUint32(b[12:], uint32(padded))
}

// putSIV appends the synthetic iv of a padded plaintext to dst, and the sums of its parts to sums, if its suite has
// any. length is that of the plaintext.
func (s *Sealer) putSIV(t *tools, dst, head, padded []byte, length uint64, sums []byte) []byte {
	pre := append(append(append(t.small[:0], head...), s.share[:]...), make([]byte, scopeLen)...)
	t.blockSIV.Reset()
	t.blockSIV.Write(pre)
	if head[suiteAt] == suiteOne {
		t.blockSIV.Write(padded)
	} else {
		for i := range blocks.Parts(length) {
			off, end := partAt(i, length, len(padded))
			t.sum = sha256.Sum256(padded[off:end])
			t.blockSIV.Write(t.sum[:])
			sums = append(sums, t.sum[:blocks.SumLen]...)
		}
	}
	t.blockSIV.Sum(dst)
	return sums
}

func (s *Sealer) aad(t *tools, b []byte) []byte {
	return append(append(t.small[:0], b[:headLen]...), s.share[:]...)
}

// sivMatches recomputes the synthetic iv of b from its padded plaintext.
func (s *Sealer) sivMatches(t *tools, b, padded []byte, length uint64) bool {
	sum := t.small[128:128:192] // behind what putSIV uses
	t.sums = s.putSIV(t, sum, b[:sivAt], padded, length, t.sums[:0])
	return hmac.Equal(sum[:sivLen], b[sivAt:headLen])
}
