// Package blocks says what a block is: bytes under the name of their own SHA-256.
//
// Everything that crosses the network or lies on a disk is a sealed block (package
// blocks/seal makes and opens them). This package knows digests, sealed blocks,
// manifests and the two interfaces by which blocks move; it cannot decrypt anything.
package blocks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/shelffs/shelf/internal/errs"
)

// MaxSealed is the largest sealed block, header and tag included, in bytes.
const MaxSealed = 4 << 20

// Digest is the SHA-256 of a sealed block's bytes. The zero digest names no block;
// in a manifest it is a hole.
type Digest [32]byte

// Sum returns the digest of sealed bytes.
func Sum(sealed []byte) Digest { return sha256.Sum256(sealed) }

// IsZero reports whether d names no block.
func (d Digest) IsZero() bool { return d == Digest{} }

// CID is the CIDv1 (raw, sha2-256) under which IPFS tools know the block.
func (d Digest) CID() cid.Cid {
	m, err := mh.Encode(d[:], mh.SHA2_256)
	if err != nil { // the code and length are constants
		panic("blocks: " + err.Error())
	}
	return cid.NewCidV1(cid.Raw, m)
}

// DigestOf is the inverse of CID; it accepts only raw CIDs with a sha2-256 hash.
func DigestOf(c cid.Cid) (Digest, error) {
	m, err := mh.Decode(c.Hash())
	if err != nil || m.Code != mh.SHA2_256 || m.Length != 32 || c.Type() != cid.Raw {
		return Digest{}, errs.E("blocks.DigestOf", errs.Invalid, c.String(), err)
	}
	return Digest(m.Digest), nil
}

func (d Digest) String() string { return d.CID().String() }

// Short is for logs and messages: 12 hex digits.
func (d Digest) Short() string { return hex.EncodeToString(d[:6]) }

// Sealed is a block as it travels and rests. Bytes must not be changed by anybody who
// holds it; see Lend. A Sealed from a peer or a disk is only a claim until Verify returns nil.
type Sealed struct {
	Digest Digest
	Bytes  []byte
	lent   *lent
}

// New names sealed bytes.
func New(sealed []byte) Sealed { return Sealed{Digest: Sum(sealed), Bytes: sealed} }

// Verify reports Corrupt unless Bytes has the digest it is named by.
func (s Sealed) Verify() error {
	if len(s.Bytes) > MaxSealed || Sum(s.Bytes) != s.Digest {
		return errs.E("blocks.Verify", errs.Corrupt, s.Digest.Short(), nil)
	}
	return nil
}

// Getter brings a block. The result has been verified against d. NotExist means that
// this getter does not have it; Offline that nobody reachable has.
type Getter interface {
	GetBlock(ctx context.Context, d Digest) (Sealed, error)
}

// Stretch is the part of what a manifest names that its reader needs next.
type Stretch struct {
	Level uint8  // of the manifest; 0: it names data blocks
	Off   uint64 // of the first byte, from where the manifest begins
	Len   uint64 // bytes; 0: nothing
}

// Walker is a Getter that may bring a manifest together with what lies below it, so that its reader need not
// ask once more. What came along is only nearer: it is asked for as if it had not.
type Walker interface {
	Getter
	GetManifest(ctx context.Context, d Digest, next Stretch) (Sealed, error)
}

// Putter takes a block. It verifies nothing: the caller has, whose memory the bytes are again when it returns.
type Putter interface {
	PutBlock(ctx context.Context, b Sealed) error
}
