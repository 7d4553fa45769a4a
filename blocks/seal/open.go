package seal

import (
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/kdf"
)

// Open appends the block's plaintext, length bytes, to dst, which must not overlap b. It
// checks type, epoch, length and GCM's tag: with a digest that was verified when the block came, no
// other plaintext can show. dst needs room for Padme(length) bytes, else it is allocated anew. On
// failure (always Corrupt) the result is nil and dst's spare capacity holds nothing secret.
func (s *Sealer) Open(typ Type, b blocks.Sealed, length uint64, dst []byte) ([]byte, error) {
	return s.open("seal.Open", typ, b, length, dst, false)
}

// OpenStrict is Open that accepts only what Seal makes: it also verifies the digest, recomputes the
// synthetic iv and demands zero padding. It tells whether a writer sealed otherwise, to hide bytes or
// to use an iv twice. That does not concern whoever reads, and hashing costs three times as much as
// opening: so it is not on the way of a read.
func (s *Sealer) OpenStrict(typ Type, b blocks.Sealed, length uint64, dst []byte) ([]byte, error) {
	return s.open("seal.OpenStrict", typ, b, length, dst, true)
}

func (s *Sealer) open(op string, typ Type, b blocks.Sealed, length uint64, dst []byte, strict bool) ([]byte, error) {
	if length > MaxPlain || uint64(len(b.Bytes)) != Overhead+Padme(length) || strict && b.Verify() != nil {
		return nil, corrupt(op, b.Digest.Short())
	}
	t := s.take()
	defer s.give(t)
	start := len(dst)
	dst, ok := s.openPadded(t, typ, b.Bytes, dst)
	if !ok {
		return nil, corrupt(op, b.Digest.Short())
	}
	if p := dst[start:]; strict && (!isZero(p[length:]) || !s.sivMatches(t, b.Bytes, p, length)) {
		clear(p)
		return nil, corrupt(op, b.Digest.Short())
	}
	return dst[:start+int(length)], nil
}

// OpenManifest opens and parses a manifest, whose own length no parent says. Like Open it
// relies on the block having been verified when it came.
func (s *Sealer) OpenManifest(b blocks.Sealed) (blocks.Manifest, error) {
	const op = "seal.OpenManifest"
	t := s.take()
	defer s.give(t)
	p, ok := s.openPadded(t, Manifest, b.Bytes, t.plain[:0])
	if !ok {
		return blocks.Manifest{}, corrupt(op, b.Digest.Short())
	}
	t.plain = p
	n, err := blocks.ManifestLen(p)
	if err != nil || n > len(p) || uint64(len(p)) != Padme(uint64(n)) || !isZero(p[n:]) {
		return blocks.Manifest{}, corrupt(op, b.Digest.Short())
	}
	m, err := blocks.ParseManifest(p[:n])
	if err != nil {
		return blocks.Manifest{}, corrupt(op, b.Digest.Short())
	}
	return m, nil
}

// openPadded appends the padded plaintext of b to dst when the header is what this sealer
// would have written around it and GCM agrees.
func (s *Sealer) openPadded(t *tools, typ Type, b, dst []byte) ([]byte, bool) {
	if len(b) < Overhead || len(b) > blocks.MaxSealed || typ != Data && typ != Manifest {
		return nil, false
	}
	n := len(b) - Overhead
	if !s.isHead(b, typ, n) || Padme(uint64(n)) != uint64(n) {
		return nil, false
	}
	gcm := t.aead(t.blockEnc, kdf.BlockKey, b[sivAt:headLen])
	out, err := gcm.Open(slices.Grow(dst, n), t.nonce[:], b[headLen:], s.aad(t, b))
	return out, err == nil
}

// isHead reports whether b begins as a block of n bytes of padded plaintext does.
func (s *Sealer) isHead(b []byte, typ Type, n int) bool {
	var want [sivAt]byte
	s.putHead(want[:], suite, typ, n)
	if b[suiteAt] == suiteOne {
		want[suiteAt] = suiteOne
	}
	return string(b[:sivAt]) == string(want[:])
}
