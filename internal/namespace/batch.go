package namespace

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// A batch is the unit that is signed: the records of one writer from first on, without a gap,
// chained to the batch before. Its bytes, which the signature covers:
//
//	u8 version=1 | share 32 | device 32 | u32be incarnation | u32be epoch | u64be first | u32be count |
//	SHA-256 of the previous batch (zero for the first) | SHA-256 of the member hashes
//
// The hash of a member is the first 16 bytes of the SHA-256 of its record. The list of hashes
// travels beside the header while any member lives; of superseded members it is all that is
// left.
type batch struct {
	share  ident.ShareID
	writer ident.Writer
	epoch  uint32
	first  uint64
	count  uint32
	prev   [32]byte
	root   [32]byte
}

const (
	batchVersion  = 1
	batchLen      = 1 + 32 + 36 + 4 + 8 + 4 + 32 + 32
	signedLen     = batchLen + ed25519.SignatureSize
	memberHashLen = 16
)

func (b *batch) last() uint64 { return b.first + uint64(b.count) - 1 }

func (b *batch) encode() []byte {
	out := make([]byte, 0, signedLen)
	out = append(out, batchVersion)
	out = append(out, b.share[:]...)
	out = b.writer.Append(out)
	out = binary.BigEndian.AppendUint32(out, b.epoch)
	out = binary.BigEndian.AppendUint64(out, b.first)
	out = binary.BigEndian.AppendUint32(out, b.count)
	out = append(out, b.prev[:]...)
	return append(out, b.root[:]...)
}

// parseBatch reads a header, without judging its signature. Corrupt.
func parseBatch(p []byte) (batch, error) {
	if len(p) != batchLen || p[0] != batchVersion {
		return batch{}, badBatch("form")
	}
	d := decoder{b: p[1:]}
	b := batch{share: ident.ShareID(d.take(32)), writer: d.writer()}
	b.epoch = binary.BigEndian.Uint32(d.take(4))
	b.first = binary.BigEndian.Uint64(d.take(8))
	b.count = binary.BigEndian.Uint32(d.take(4))
	b.prev, b.root = [32]byte(d.take(32)), [32]byte(d.take(32))
	if b.first == 0 || b.count == 0 || b.count > MaxRecords || b.first > 1<<62 || b.writer.Incarnation == 0 {
		return batch{}, badBatch("bounds")
	}
	return b, nil
}

// rootOf is what a header says of the list of member hashes.
func rootOf(hashes []byte) [32]byte { return sha256.Sum256(hashes) }

func badBatch(what string) error {
	return errs.E("namespace.batch", errs.Corrupt, what, nil)
}

// signedBatch is a batch with its signature and, while any member lives, its member hashes.
type signedBatch struct {
	batch
	raw    []byte // header as signed
	sig    []byte
	hashes []byte // count × 16 bytes, or empty
}

// Signer signs the batches of this device, and judges those of all.
type Signer interface {
	SignBatch(header []byte) (sig []byte) // of ed25519.SignatureSize bytes
	VerifyBatch(by ident.DeviceID, header, sig []byte) bool
}

type edSigner struct{ key ed25519.PrivateKey }

func (s edSigner) SignBatch(header []byte) []byte { return ident.Sign(s.key, ident.SigBatch, header) }

func (edSigner) VerifyBatch(by ident.DeviceID, header, sig []byte) bool {
	return ident.Verify(by[:], ident.SigBatch, header, sig)
}

func signBatch(s Signer, b batch, hashes []byte) signedBatch {
	raw := b.encode()
	return signedBatch{batch: b, raw: raw, sig: s.SignBatch(raw), hashes: hashes}
}

// hash is what the next batch of the writer names as its predecessor.
func (b *signedBatch) hash() [32]byte { return sha256.Sum256(b.raw) }

// member reports whether a record's bytes are the ones signed for seq.
func (b *signedBatch) member(seq uint64, bytes []byte) bool {
	if seq < b.first || seq > b.last() || len(b.hashes) == 0 {
		return false
	}
	at := (seq - b.first) * memberHashLen
	return hashRecord(bytes) == [16]byte(b.hashes[at:])
}

// append appends header, signature and hashes; it is the form of a stored row and of a frame.
func (b *signedBatch) append(dst []byte, withHashes bool) []byte {
	dst = append(append(dst, b.raw...), b.sig...)
	if !withHashes {
		return appendUvarint(dst, 0)
	}
	return append(appendUvarint(dst, uint64(len(b.hashes)/memberHashLen)), b.hashes...)
}

// signedBatch reads what append wrote. The signature is not judged.
func (d *decoder) signedBatch() (signedBatch, error) {
	raw, sig := d.take(batchLen), d.take(ed25519.SignatureSize)
	hashes := d.take(d.count(memberHashLen) * memberHashLen)
	if d.bad {
		return signedBatch{}, badBatch("form")
	}
	b, err := parseBatch(raw)
	if err != nil {
		return signedBatch{}, err
	}
	if len(hashes) > 0 && (len(hashes) != int(b.count)*memberHashLen || rootOf(hashes) != b.root) {
		return signedBatch{}, badBatch("member hashes")
	}
	return signedBatch{batch: b, raw: raw, sig: sig, hashes: hashes}, nil
}
