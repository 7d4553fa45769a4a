// Package seal turns plaintext into sealed blocks and records, and back. It is the only
// code that sees both sides; whoever can merely move blocks never imports it.
//
// The construction is "SIV, then a key of its own": a keyed hash of the padded plaintext
// is the synthetic iv, the iv yields a key that encrypts this one message with AES-256-GCM
// under a zero nonce. No nonce can be used twice wrongly, and equal plaintext gives equal
// blocks inside one share and epoch, unrelated ones elsewhere. What fails to open fails
// with one error, errs.Corrupt, whatever the reason was.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kdf"
)

// Sealer seals and opens for one share and epoch. It is immutable and safe for concurrent
// use.
type Sealer struct {
	share    ident.ShareID
	epoch    uint32
	chunkKey [32]byte
	tools    sync.Pool // of *tools
}

// tools is what one call needs and the next can use again. The keyed hashes hold K_siv,
// K_enc and so on; they are reset before each use, not after.
type tools struct {
	blockSIV, blockEnc   hash.Hash
	recordSIV, recordEnc hash.Hash
	recordReg            hash.Hash
	small                [256]byte         // headers, ivs and sums on their way into a hash
	nonce                [nonceLen]byte    // always zero: every key has one message
	plain                []byte            // a padded plaintext that the caller does not get
	sum                  [sha256.Size]byte // of a part
	sums                 []byte            // of all parts
}

// New derives all keys of a share's epoch from its read key RK_e.
func New(share ident.ShareID, epoch uint32, readKey [32]byte) *Sealer {
	ctx := binary.BigEndian.AppendUint32(share[:len(share):len(share)], epoch)
	derive := func(l kdf.Label) [32]byte { return kdf.Derive(readKey[:], l, ctx) }
	blockSIV, blockEnc := derive(kdf.BlockSIV), derive(kdf.BlockEnc)
	recordSIV, recordEnc, recordReg := derive(kdf.RecordSIV), derive(kdf.RecordEnc), derive(kdf.RecordReg)
	s := &Sealer{share: share, epoch: epoch, chunkKey: derive(kdf.Chunker)}
	s.tools.New = func() any {
		return &tools{
			blockSIV:  hmac.New(sha256.New, blockSIV[:]),
			blockEnc:  hmac.New(sha256.New, blockEnc[:]),
			recordSIV: hmac.New(sha256.New, recordSIV[:]),
			recordEnc: hmac.New(sha256.New, recordEnc[:]),
			recordReg: hmac.New(sha256.New, recordReg[:]),
		}
	}
	return s
}

// ChunkKey is K_chunk, the secret of this share's and epoch's chunker.
func (s *Sealer) ChunkKey() [32]byte { return s.chunkKey }

func (s *Sealer) take() *tools  { return s.tools.Get().(*tools) }
func (s *Sealer) give(t *tools) { s.tools.Put(t) }

// aead makes the cipher of the one message whose synthetic iv is given.
func (t *tools) aead(h hash.Hash, label kdf.Label, siv []byte) cipher.AEAD {
	gcm, err := cipher.NewGCM(t.cipher(h, label, siv))
	if err != nil { // AES has the right block size
		panic("seal: " + err.Error())
	}
	return gcm
}

// cipher has the key HKDF-Expand(key inside h, label || 0x00 || siv, 32), as kdf.Derive has it.
func (t *tools) cipher(h hash.Hash, label kdf.Label, siv []byte) cipher.Block {
	info := append(t.small[:0], label...)
	info = append(info, 0)
	info = append(info, siv...)
	info = append(info, 1) // HKDF's counter: the first block is the whole output
	h.Reset()
	h.Write(info)
	block, err := aes.NewCipher(h.Sum(t.small[:0]))
	if err != nil { // a sum is 32 bytes
		panic("seal: " + err.Error())
	}
	return block
}

func isZero(b []byte) bool {
	var or byte
	for _, c := range b {
		or |= c
	}
	return or == 0
}

func corrupt(op, subject string) error { return errs.E(op, errs.Corrupt, subject, nil) }
