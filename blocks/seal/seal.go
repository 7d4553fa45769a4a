// Package seal turns plaintext into sealed blocks and back.
package seal

import (
	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
)

// Type says what a sealed block holds; it is in the header and authenticated.
type Type uint8

const (
	Data     Type = 1
	Manifest Type = 2
)

// MaxPlain is the longest plaintext of one block, in bytes.
const MaxPlain = blocks.MaxSealed - 64<<10

type Sealer struct{}

func New(share ident.ShareID, epoch uint32, readKey [32]byte) *Sealer { panic("coming") }

// Seal makes the sealed block of plain. Equal plaintext of one type gives equal blocks.
func (s *Sealer) Seal(typ Type, plain []byte) (blocks.Sealed, error) { panic("coming") }

// AppendSeal is Seal into memory of the caller's: the block's bytes are appended to dst.
func (s *Sealer) AppendSeal(dst []byte, typ Type, plain []byte) (blocks.Sealed, error) {
	panic("coming")
}

// Open appends the plaintext, length bytes, to dst. It checks GCM only.
func (s *Sealer) Open(typ Type, b blocks.Sealed, length uint64, dst []byte) ([]byte, error) {
	panic("coming")
}

// OpenStrict is Open for blocks from a peer: digest, GCM, siv recomputed, padding zero.
func (s *Sealer) OpenStrict(typ Type, b blocks.Sealed, length uint64, dst []byte) ([]byte, error) {
	panic("coming")
}

// OpenManifest opens and parses a manifest block, whose length its parent does not say.
func (s *Sealer) OpenManifest(b blocks.Sealed) (blocks.Manifest, error) { panic("coming") }

// SealManifest seals a manifest.
func (s *Sealer) SealManifest(m blocks.Manifest) (blocks.Sealed, error) { panic("coming") }

// Check verifies a block from a peer as far as that can be done without knowing its length:
// digest, GCM, siv. For fetch's Verify hook.
func (s *Sealer) Check(b blocks.Sealed) error { panic("coming") }

// ChunkKey is the secret of this share's and epoch's chunker.
func (s *Sealer) ChunkKey() [32]byte { panic("coming") }

// SealRecord and OpenRecord: deterministic SIV form with header as associated data.
func (s *Sealer) SealRecord(header, payload []byte) []byte          { panic("coming") }
func (s *Sealer) OpenRecord(header, sealed []byte) ([]byte, error) { panic("coming") }

// RegisterKey is a PRF naming a register to those who have no key.
func (s *Sealer) RegisterKey(node [16]byte, reg []byte) [16]byte { panic("coming") }
