package exchange

import (
	"context"
	"encoding/binary"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// A walk is a get of a manifest by who will need some of what lies below it, and has to wait for each round trip. Who
// can read the manifest answers with that as well, as a bundle:
//
//	u32 length | the manifest | k × (digest 32 | u32 length | a block)
//
// What comes along is a kindness: any of it may be missing, and who cannot read manifests sends none.
const (
	maxAlong      = 2 << 20 // bytes of the blocks that come along
	maxAlongCount = 32
	maxBundle     = 4 + blocks.MaxSealed + maxAlong + maxAlongCount*(digestLen+4)
)

// bundle appends the answer to a walk from m, which the device was asked for, to out. It tells how many blocks are in it,
// and their bytes.
func (v *service) bundle(ctx context.Context, m blocks.Sealed, next blocks.Stretch, out []byte) (_ []byte, n, bytes int) {
	out = binary.BigEndian.AppendUint32(out, uint32(len(m.Bytes)))
	out = append(out, m.Bytes...)
	if v.x.cfg.Below == nil {
		return out, 1, len(m.Bytes)
	}
	size, count := 0, 0
	for b := range v.x.cfg.Below(ctx, m, next) {
		at := append(append(out, b.Digest[:]...), 0, 0, 0, 0)
		if b.Bytes == nil { // it is read to where it goes, if there is room
			var err error
			if b, err = v.loadBlock(ctx, b.Digest, at[len(at):]); err != nil {
				continue
			}
		}
		if size+len(b.Bytes) > maxAlong || count == maxAlongCount {
			break
		}
		size, count = size+len(b.Bytes), count+1
		binary.BigEndian.PutUint32(at[len(at)-4:], uint32(len(b.Bytes)))
		out = append(at, b.Bytes...)
	}
	return out, 1 + count, len(m.Bytes) + size
}

// parseBundle is its inverse. What it returns lies in b.
func parseBundle(b []byte) (block []byte, along []blocks.Sealed, err error) {
	bad := errs.E("exchange.parseBundle", errs.Protocol, "", nil)
	take := func(max int) ([]byte, bool) {
		if len(b) < 4 {
			return nil, false
		}
		n := int64(binary.BigEndian.Uint32(b))
		if b = b[4:]; n > int64(max) || n > int64(len(b)) {
			return nil, false
		}
		out := b[:n:n]
		b = b[n:]
		return out, true
	}
	block, ok := take(blocks.MaxSealed)
	if !ok {
		return nil, nil, bad
	}
	for size := 0; len(b) > 0; {
		if len(b) < digestLen || len(along) == maxAlongCount {
			return nil, nil, bad
		}
		s := blocks.Sealed{Digest: blocks.Digest(b[:digestLen])}
		b = b[digestLen:]
		if s.Bytes, ok = take(maxAlong - size); !ok {
			return nil, nil, bad
		}
		size += len(s.Bytes)
		along = append(along, s)
	}
	return block, along, nil
}
