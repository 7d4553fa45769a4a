package seal

import (
	"crypto/hmac"
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

// The format, all integers big-endian, P the plaintext padded with zeros to Padme(length):
//
//	0  4  magic "SHB1"    4 1 suite=1    5 1 type    6 2 zero
//	8  4  epoch           12 4 length of P           16 32 siv
//	48 n  AES-256-GCM ciphertext of P                48+n 16 tag
//
//	siv = HMAC-SHA-256(K_siv, header[0:16] || ShareID || scope || P)
//	key = HKDF-Expand(K_enc, "shelf1/block/key" || 0x00 || siv, 32)
//	nonce = 0^12, associated data = header[0:48] || ShareID
//
// scope is 16 zero bytes: the whole share is one domain of deduplication.
const (
	magic    = "SHB1"
	suite    = 1
	sivAt    = 16
	sivLen   = 32
	headLen  = sivAt + sivLen
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
	if typ != Data && typ != Manifest {
		return blocks.Sealed{}, errs.E("seal.Seal", errs.Invalid, "type", nil)
	}
	if len(plain) > MaxPlain {
		return blocks.Sealed{}, errs.E("seal.Seal", errs.TooLarge, "", nil)
	}
	t := s.take()
	defer s.give(t)

	padded := int(Padme(uint64(len(plain))))
	start, total := len(dst), Overhead+padded
	dst = slices.Grow(dst, total)[:start+total]
	b := dst[start : start+total : start+total]

	s.putHead(b, typ, padded)
	p := b[headLen : headLen+padded]
	clear(p[copy(p, plain):])
	s.putSIV(t, b[sivAt:sivAt:headLen], b[:sivAt], p)
	gcm := t.aead(t.blockEnc, kdf.BlockKey, b[sivAt:headLen])
	gcm.Seal(p[:0], t.nonce[:], p, s.aad(t, b))
	return blocks.New(b), nil
}

// SealManifest makes the sealed block of a manifest.
func (s *Sealer) SealManifest(m blocks.Manifest) (blocks.Sealed, error) {
	t := s.take()
	defer s.give(t)
	t.plain = m.Append(t.plain[:0])
	return s.Seal(Manifest, t.plain)
}

func (s *Sealer) putHead(b []byte, typ Type, padded int) {
	copy(b, magic)
	b[4], b[5], b[6], b[7] = suite, byte(typ), 0, 0
	binary.BigEndian.PutUint32(b[8:], s.epoch)
	binary.BigEndian.PutUint32(b[12:], uint32(padded))
}

// putSIV appends the synthetic iv of a padded plaintext to dst.
func (s *Sealer) putSIV(t *tools, dst, head, padded []byte) {
	pre := append(append(append(t.small[:0], head...), s.share[:]...), make([]byte, scopeLen)...)
	t.blockSIV.Reset()
	t.blockSIV.Write(pre)
	t.blockSIV.Write(padded)
	t.blockSIV.Sum(dst)
}

func (s *Sealer) aad(t *tools, b []byte) []byte {
	return append(append(t.small[:0], b[:headLen]...), s.share[:]...)
}

// sivMatches recomputes the synthetic iv of b from its padded plaintext.
func (s *Sealer) sivMatches(t *tools, b, padded []byte) bool {
	sum := t.small[128:128:192] // behind what putSIV uses
	s.putSIV(t, sum, b[:sivAt], padded)
	return hmac.Equal(sum[:sivLen], b[sivAt:headLen])
}
