package daemon

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
)

// What is here and wished for in advance is leased: it stays for its reader while others can go.
func TestWhatIsReadAheadIsLeased(t *testing.T) {
	s, ctx := home(t), context.Background()
	s.CacheSize = 16 << 20
	d := mustOpen(t, s, &lonely{})
	defer d.Close()
	put := func(from, n int) (ds []digest) {
		for i := from; i < from+n; i++ {
			var key [32]byte
			binary.BigEndian.PutUint32(key[:], uint32(i))
			body := make([]byte, 100<<10)
			_, _ = rand.NewChaCha8(key).Read(body)
			b := blocks.New(body)
			if err := d.cache.PutBlock(ctx, b); err != nil {
				t.Fatal(err)
			}
			ds = append(ds, b.Digest)
		}
		return ds
	}
	film := put(0, 40)
	put(1000, 60)
	if err := d.fetcher.FetchAll(ctx, fetch.ReadAhead, slices.Values(film), func(_ digest, err error) {
		if err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	put(2000, 80)
	for i, b := range film {
		if !d.here(b) {
			t.Fatalf("block %d went before its reader came", i)
		}
	}
}
