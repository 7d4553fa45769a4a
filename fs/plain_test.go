package fs

import (
	"context"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/ident"
)

// shelved are blocks that are brought, counted.
type shelved struct {
	by      map[blocks.Digest]blocks.Sealed
	brought int
}

func (s *shelved) GetBlock(_ context.Context, d blocks.Digest) (blocks.Sealed, error) {
	s.brought++
	return s.by[d], nil
}

// Opened blocks take little memory as long as nobody comes back to those that were dropped, and then as much as is needed
// to have them, within the limit.
func TestOpenedBlocksTakeWhatIsOfUse(t *testing.T) {
	const size, most = 256 << 10, 32 << 20
	sealer := seal.New(ident.ShareID{1}, 1, [32]byte{2})
	from := &shelved{by: map[blocks.Digest]blocks.Sealed{}}
	refs := make([]blocks.Ref, 2*most/size)
	for i := range refs {
		b := make([]byte, size)
		b[0], b[1] = byte(i), byte(i>>8)
		x, err := sealer.Seal(seal.Data, b)
		if err != nil {
			t.Fatal(err)
		}
		from.by[x.Digest], refs[i] = x, blocks.Ref{Digest: x.Digest, Length: size}
	}
	c := newPlainCache(t.Context(), &Config{Sealer: sealer, Limits: Limits{Plain: most}})
	readAll := func(refs []blocks.Ref) (brought int) {
		before := from.brought
		for i, r := range refs {
			p := c.acquire(r, 0, from)
			<-p.ready
			if p.err != nil || len(p.b) != size {
				t.Fatal(i, len(p.b), p.err)
			}
			c.release(p)
		}
		return from.brought - before
	}

	readAll(refs)
	if n := c.held(); n > leastPlain {
		t.Errorf("%d bytes are held though each block was read once", n)
	}
	few := refs[:most/2/size]
	readAll(few)
	readAll(few)
	if n := readAll(few); n != 0 {
		t.Errorf("%d of %d blocks were brought anew the third time", n, len(few))
	}
	for range 3 {
		readAll(refs)
	}
	if n := c.held(); n > most {
		t.Errorf("%d bytes are held", n)
	}
	c.mu.Lock() // the last block may only now be listed
	defer c.mu.Unlock()
	if n, all := c.past.size, len(c.past.by); n > most || all != c.past.order.Len() {
		t.Errorf("%d bytes by %d names of %d are remembered", n, all, c.past.order.Len())
	}
}
