package blocks

import "github.com/shelffs/shelf/internal/errs"

// A data block can be read in parts: who holds its Ref with sums can tell that a part is the right one without the
// rest of the block. It is there sooner, for who needs a few bytes somewhere in a file.
const (
	// PartLen is how many bytes of plaintext a part has: with its header, one message of the network. The last one is
	// shorter, and has the padding behind it.
	PartLen = 60 << 10
	// SumLen is how many bytes of a part's SHA-256 a Ref has.
	SumLen = 16
	// HeadLen is how many bytes stand before the ciphertext of a sealed block. A part travels with them.
	HeadLen = 48
)

// Parts is how many parts a block of so many bytes of plaintext has: one at least.
func Parts(length uint64) int { return int(max(1, (length+PartLen-1)/PartLen)) }

// Span is a stretch of a sealed block's bytes.
type Span struct{ Off, Len uint32 }

// AppendPart appends the block's header and a stretch behind it to dst. Invalid when the stretch does not lie behind
// the header, or ends behind the block.
func (s Sealed) AppendPart(dst []byte, p Span) ([]byte, error) {
	if err := p.Check(len(s.Bytes)); err != nil {
		return nil, err
	}
	return append(append(dst, s.Bytes[:HeadLen]...), s.Bytes[p.Off:p.Off+p.Len]...), nil
}

// Check reports Invalid unless p lies behind the header of a sealed block of so many bytes, and in it.
func (p Span) Check(sealed int) error {
	if p.Off < HeadLen || int64(p.Off)+int64(p.Len) > int64(sealed) {
		return errs.E("blocks.Span", errs.Invalid, "part of a block", nil)
	}
	return nil
}
