package fs

import (
	"bytes"
	"math/rand"
	"testing"

	"github.com/shelffs/shelf/blocks"
)

// A layer over random bytes must read like a plain array, whatever was done to it.
func TestLayerAgainstArray(t *testing.T) {
	for seed := int64(0); seed < 100; seed++ {
		rng := rand.New(rand.NewSource(seed))
		space := int64(1 << (6 + rng.Intn(11)))
		mem := &memory{}
		l := layer{mem: mem}
		block := blocks.Ref{Length: 1 << 20}
		want := make([]byte, space)
		covered := make([]bool, space)
		for step := 0; step < 150; step++ {
			off := rng.Int63n(space)
			n := rng.Int63n(space-off) + 1
			if rng.Intn(2) == 0 {
				n = min(n, 1+rng.Int63n(300))
			}
			switch rng.Intn(10) {
			case 9: // of a block
				at := rng.Int63n(1000)
				for parts := []int64{n / 2, n - n/2}; len(parts) > 0; parts = parts[1:] {
					l.lend(off, parts[0], &lent{block, nil}, at)
					for i := range parts[0] {
						want[off+i] = blockByte(at + i)
					}
					mark(covered[off:off+parts[0]], true)
					off, at = off+parts[0], at+parts[0]
				}
			case 8: // split and put together again
				rest := l.split(n)
				for _, s := range rest.spans {
					if len(l.spans) == 0 || s.off < l.spans[len(l.spans)-1].end() {
						t.Fatal("the rest is not behind")
					}
				}
				l.over(&rest)
			case 0:
				l.zero(off, n)
				clear(want[off : off+n])
				mark(covered[off:off+n], true)
			case 1:
				l.cut(off, off+n)
				mark(covered[off:off+n], false)
			case 2:
				l.truncate(off)
				mark(covered[off:], false)
			case 3: // a second layer, laid over
				top := layer{mem: mem}
				p := randBytes(rng, n)
				top.write(off, p)
				l.over(&top)
				copy(want[off:], p)
				mark(covered[off:off+n], true)
			default:
				p := randBytes(rng, n)
				l.write(off, p)
				copy(want[off:], p)
				mark(covered[off:off+n], true)
			}
			checkLayer(t, &l, want, covered)
			if t.Failed() {
				t.Fatalf("seed %d step %d", seed, step)
			}
		}
		l.drop()
		if got := mem.used.Load(); got != 0 {
			t.Fatalf("seed %d: %d bytes not given back", seed, got)
		}
	}
}

func checkLayer(t *testing.T, l *layer, want []byte, covered []bool) {
	t.Helper()
	end := int64(-1)
	for _, s := range l.spans {
		if s.n <= 0 || s.off < end {
			t.Errorf("span [%d,+%d) after %d", s.off, s.n, end)
		}
		end = s.end()
	}
	next := int64(0)
	l.visit(0, int64(len(want)), func(s span, have bool) {
		if s.off != next {
			t.Errorf("visit jumps from %d to %d", next, s.off)
		}
		next = s.end()
		if s.buf != nil && !bytes.Equal(s.bytes(), want[s.off:s.end()]) {
			t.Errorf("bytes differ in [%d,+%d)", s.off, s.n)
		}
		for i := s.off; i < s.end(); i++ {
			is := byte(0)
			switch {
			case s.lent != nil:
				is = blockByte(s.at + i - s.off)
			case s.buf != nil:
				is = want[i]
			}
			if covered[i] != have || have && want[i] != is {
				t.Errorf("offset %d: covered %v, want %v; byte %d, want %d", i, have, covered[i], is, want[i])
				return
			}
		}
	})
	held, ofBlocks := int64(0), int64(0)
	for _, s := range l.spans {
		switch {
		case s.buf != nil:
			held += s.n
		case s.lent != nil:
			ofBlocks += s.n
		}
	}
	if held != l.held || ofBlocks != l.lent {
		t.Errorf("held %d, lent %d, want %d and %d", l.held, l.lent, held, ofBlocks)
	}
	if next != int64(len(want)) {
		t.Errorf("visit ends at %d", next)
	}
}

// blockByte is the byte at an offset of the block.
func blockByte(at int64) byte { return byte(at*7%251) + 1 }

func mark(b []bool, v bool) {
	for i := range b {
		b[i] = v
	}
}

func randBytes(rng *rand.Rand, n int64) []byte {
	b := make([]byte, n)
	rng.Read(b)
	return b
}

func TestAppendsShareBuffers(t *testing.T) {
	mem := &memory{}
	l := layer{mem: mem}
	for i := 0; i < 1024; i++ {
		l.write(int64(i)*4096, bytes.Repeat([]byte{byte(i)}, 4096))
	}
	if len(l.spans) != 4 || mem.used.Load() != 4<<20 {
		t.Errorf("4 MiB of appends: %d spans, %d bytes held", len(l.spans), mem.used.Load())
	}
}
