package fetch_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// lender is a device and a cache that put what they bring where they are told to, and count how often that was
// used before.
type lender struct {
	bodies map[blocks.Digest][]byte

	mu    sync.Mutex
	kept  map[blocks.Digest][]byte
	seen  map[*byte]bool
	again int
}

func (l *lender) fill(room func(int) []byte, body []byte) []byte {
	b := append(room(len(body)), body...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[&b[0]] {
		l.again++
	}
	l.seen[&b[0]] = true
	return b
}

func (l *lender) Device() ident.DeviceID { return ident.DeviceID{1} }

func (l *lender) Fetch(ctx context.Context, r fetch.Request) ([]byte, error) {
	select {
	case <-time.After(time.Duration(rand.IntN(300)) * time.Microsecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if rand.IntN(20) == 0 {
		return nil, errs.E("lender", errs.Offline, "", nil)
	}
	return l.fill(r.Room, l.bodies[r.Digest]), nil
}

func (l *lender) GetBlock(ctx context.Context, d blocks.Digest) (blocks.Sealed, error) {
	return l.GetBlockIn(ctx, d, func(n int) []byte { return make([]byte, 0, n) })
}

func (l *lender) GetBlockIn(_ context.Context, d blocks.Digest, room func(int) []byte) (blocks.Sealed, error) {
	l.mu.Lock()
	b := l.kept[d]
	l.mu.Unlock()
	if b == nil {
		return blocks.Sealed{}, errs.E("lender", errs.NotExist, "", nil)
	}
	return blocks.Sealed{Digest: d, Bytes: l.fill(room, b)}, nil
}

func (l *lender) PutBlock(_ context.Context, b blocks.Sealed) error {
	err := b.Verify()
	l.mu.Lock()
	defer l.mu.Unlock()
	if rand.IntN(2) == 0 { // the others come from the device again
		l.kept[b.Digest] = l.bodies[b.Digest]
	}
	return err
}

// Whoever holds a block sees it whole, however many have it, give up or come later; and its memory is used again.
func TestMemoryIsUsedAgain(t *testing.T) {
	l := &lender{bodies: map[blocks.Digest][]byte{}, kept: map[blocks.Digest][]byte{}, seen: map[*byte]bool{}}
	var all []blocks.Digest
	for i := range 60 {
		b := make([]byte, 64<<10+rand.IntN(300<<10))
		b[0], b[len(b)-1] = byte(i), byte(i)
		d := blocks.Sum(b)
		all, l.bodies[d] = append(all, d), b
	}
	roster := fetch.NewRoster(func(ident.DeviceID) fetch.Source { return l })
	roster.Set([]fetch.Device{{ID: l.Device(), Connected: true, Path: fetch.LAN}})
	f := fetch.New(fetch.Config{Cache: l, Locator: roster, Limits: fetch.Limits{AheadBytes: 2 << 20}})
	for range 4 {
		l.mu.Lock()
		clear(l.kept)
		l.mu.Unlock()
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(w), 1))
				for range 60 {
					d := all[rnd.IntN(len(all))]
					ctx, cancel := context.WithCancel(t.Context())
					switch rnd.IntN(4) {
					case 0:
						f.Ahead(d, all[rnd.IntN(len(all))])
					case 1:
						time.AfterFunc(time.Duration(rnd.IntN(400))*time.Microsecond, cancel)
					}
					b, err := f.Get(ctx, d, fetch.Priority(rnd.IntN(3)))
					if err == nil {
						for range 1 + rnd.IntN(2) {
							if err := b.Verify(); err != nil {
								t.Errorf("a block changed while it was held: %v", err)
							}
						}
						b.Done()
					} else if ctx.Err() == nil && !errs.Is(err, errs.Offline) {
						t.Error(err)
					}
					cancel()
				}
			})
		}
		wg.Wait()
	}
	f.Close() // with what is still read ahead
	if l.again < 100 {
		t.Errorf("memory was used again %d times only", l.again)
	}
}
