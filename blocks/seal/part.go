package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/kdf"
)

// partAt is where part i of a plaintext of length bytes begins and ends, padded to so many.
func partAt(i int, length uint64, padded int) (off, end int) {
	off, end = i*blocks.PartLen, (i+1)*blocks.PartLen
	if i == blocks.Parts(length)-1 {
		end = padded
	}
	return off, end
}

// PartSpan is where the ciphertext of part i stands in the block of r.
func PartSpan(r blocks.Ref, i int) blocks.Span {
	off, end := partAt(i, r.Length, int(Padme(r.Length)))
	return blocks.Span{Off: uint32(headLen + off), Len: uint32(end - off)}
}

// OpenPart appends the plaintext of part i of r's block to dst. b is the block's header and, behind it, the part's
// ciphertext, as anybody may have sent them: with the sum that r has no other plaintext can show. As the key
// depends on all of the block, GCM's tag is not needed, which could only be checked with all of it. Corrupt as for Open, and
// when r has no sums.
func (s *Sealer) OpenPart(r blocks.Ref, i int, b, dst []byte) ([]byte, error) {
	n := blocks.Parts(r.Length)
	if r.Length > MaxPlain || i < 0 || i >= n || len(r.Sums) != n*blocks.SumLen {
		return nil, corrupt("seal.OpenPart", r.Digest.Short())
	}
	padded := int(Padme(r.Length))
	off, end := partAt(i, r.Length, padded)
	if len(b) != headLen+end-off || !s.isHead(b, Data, padded) {
		return nil, corrupt("seal.OpenPart", r.Digest.Short())
	}
	t := s.take()
	defer s.give(t)
	start := len(dst)
	dst = slices.Grow(dst, end-off)[:start+end-off]
	t.ctr(b[sivAt:headLen], off).XORKeyStream(dst[start:], b[headLen:])
	t.sum = sha256.Sum256(dst[start:])
	if string(t.sum[:blocks.SumLen]) != r.Sums[i*blocks.SumLen:(i+1)*blocks.SumLen] {
		clear(dst[start:])
		return nil, corrupt("seal.OpenPart", r.Digest.Short())
	}
	return dst[:start+min(end, int(r.Length))-off], nil
}

// ctr is the key stream of GCM for the block with this synthetic iv, from its byte off on, a multiple of 16. GCM
// begins with the counter 2 behind its nonce, which is zero.
func (t *tools) ctr(siv []byte, off int) cipher.Stream {
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint32(iv[nonceLen:], uint32(2+off/aes.BlockSize))
	return cipher.NewCTR(t.cipher(t.blockEnc, kdf.BlockKey, siv), iv[:])
}
