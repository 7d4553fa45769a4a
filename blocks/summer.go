package blocks

import (
	"crypto/sha256"
	"hash"

	"github.com/shelffs/shelf/internal/errs"
)

// Summer hashes a block's bytes as they arrive, so that nothing is left to do when the last ones are there.
type Summer struct {
	h hash.Hash
	n int
}

func NewSummer() *Summer { return &Summer{h: sha256.New()} }

// Write takes in the next bytes. It cannot fail.
func (s *Summer) Write(p []byte) (int, error) {
	s.n += len(p)
	return s.h.Write(p)
}

// Verify is b.Verify, by what was taken in, where that is all of b; s may be nil.
func (s *Summer) Verify(b Sealed) error {
	if s == nil || s.n != len(b.Bytes) {
		return b.Verify()
	}
	if len(b.Bytes) > MaxSealed || Digest(s.h.Sum(nil)) != b.Digest {
		return errs.E("blocks.Verify", errs.Corrupt, b.Digest.Short(), nil)
	}
	return nil
}
