package chunker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
)

func random(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// cuts returns the ends of all chunks of b, and checks the rules about lengths.
func cuts(t testing.TB, c *Chunker, r io.Reader, want []byte) []int {
	t.Helper()
	var ends []int
	var got []byte
	err := c.Split(r, func(chunk []byte) error {
		if len(chunk) == 0 || len(chunk) > Max {
			t.Fatalf("chunk of %d bytes", len(chunk))
		}
		got = append(got, chunk...)
		ends = append(ends, len(got))
		return nil
	})
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d of %d bytes, %v", len(got), len(want), err)
	}
	for i, end := range ends[:max(0, len(ends)-1)] {
		start := 0
		if i > 0 {
			start = ends[i-1]
		}
		if end-start < Min {
			t.Fatalf("chunk %d has %d bytes", i, end-start)
		}
	}
	return ends
}

// The places of the cuts are a format: other cuts lose the deduplication against all that
// is stored. This table changes only with a new version of the whole.
func TestCutsAreFixed(t *testing.T) {
	c := New([32]byte{1, 2, 3})
	ends := cuts(t, c, bytes.NewReader(random(9, 8<<20)), random(9, 8<<20))
	h := sha256.New()
	for _, e := range ends {
		h.Write([]byte{byte(e), byte(e >> 8), byte(e >> 16), byte(e >> 24)})
	}
	const want = "f9558e217519e754"
	if got := hex.EncodeToString(h.Sum(nil)[:8]); got != want {
		t.Errorf("cuts %v, hash %s, want %s", ends, got, want)
	}
}

func TestEmptyAndShort(t *testing.T) {
	c := New([32]byte{})
	if ends := cuts(t, c, bytes.NewReader(nil), nil); len(ends) != 0 {
		t.Errorf("empty stream: %v", ends)
	}
	for _, n := range []int{1, 63, 64, Min - 1, Min} {
		if ends := cuts(t, c, bytes.NewReader(make([]byte, n)), make([]byte, n)); !slices.Equal(ends, []int{n}) {
			t.Errorf("%d bytes: %v", n, ends)
		}
	}
}

func TestHowTheStreamArrivesDoesNotMatter(t *testing.T) {
	c := New([32]byte{4})
	b := random(1, 3<<20)
	want := cuts(t, c, bytes.NewReader(b), b)
	for name, r := range map[string]io.Reader{
		"halves":        iotest.HalfReader(bytes.NewReader(b)),
		"data with EOF": iotest.DataErrReader(bytes.NewReader(b)),
		"1000 bytes":    &stutter{b: b, n: 1000},
	} {
		if got := cuts(t, c, r, b); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

type stutter struct {
	b []byte
	n int
}

func (s *stutter) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.n)], s.b)
	s.b = s.b[n:]
	return n, nil
}

// Chunking may begin at any former cut and finds the same ones again; that is what lets a
// changed file be chunked only where it changed.
func TestRestartAtAnyCut(t *testing.T) {
	c := New([32]byte{5})
	b := random(2, 6<<20)
	all := cuts(t, c, bytes.NewReader(b), b)
	for i, from := range all[:len(all)-1] {
		got := cuts(t, c, bytes.NewReader(b[from:]), b[from:])
		for j := range got {
			got[j] += from
		}
		if !slices.Equal(got, all[i+1:]) {
			t.Fatalf("from cut %d at %d: %v, want %v", i, from, got, all[i+1:])
		}
	}
}

// Cut in one go and Cut fed piece by piece agree, and neither looks behind the cut.
func TestCutIsIncremental(t *testing.T) {
	c := New([32]byte{6})
	r := rand.New(rand.NewPCG(1, 1))
	for seed := range byte(8) {
		b := random(seed, 2*Max)
		if seed == 7 {
			clear(b)
		}
		want := c.Cut(b, 0)
		if want < Min || want > Max || c.Cut(b[:want], 0) != want || c.Cut(b[:want-1], 0) != 0 {
			t.Fatalf("cut at %d depends on what follows", want)
		}
		have, scanned := 0, 0
		for c.Cut(b[:have], scanned) == 0 {
			scanned = have
			have = min(have+1+r.IntN(50_000), len(b))
		}
		if got := c.Cut(b[:have], scanned); got != want {
			t.Fatalf("piece by piece %d, want %d", got, want)
		}
	}
}

func TestInsertionTouchesOneChunk(t *testing.T) {
	c := New([32]byte{7})
	b := random(3, 16<<20)
	want := cuts(t, c, bytes.NewReader(b), b)
	more := append([]byte("inserted"), b...)
	got := cuts(t, c, bytes.NewReader(more), more)
	missing := 0
	for _, e := range want {
		if !slices.Contains(got, e+8) {
			missing++
		}
	}
	if missing > 0 || len(got) != len(want) {
		t.Errorf("%d of %d cuts lost", missing, len(want))
	}
}

func TestSizesAndKeys(t *testing.T) {
	b := random(4, 64<<20)
	a := cuts(t, New([32]byte{8}), bytes.NewReader(b), b)
	if mean := len(b) / len(a); mean < 230<<10 || mean > 350<<10 {
		t.Errorf("mean length %d", mean)
	}
	other := cuts(t, New([32]byte{9}), bytes.NewReader(b), b)
	same := 0
	for _, e := range other {
		if slices.Contains(a, e) {
			same++
		}
	}
	if same > 2 { // the end is one
		t.Errorf("%d cuts do not depend on the key", same)
	}
}

func TestErrorsPassThrough(t *testing.T) {
	c := New([32]byte{})
	broken := errors.New("broken")
	if err := c.Split(iotest.ErrReader(broken), func([]byte) error { return nil }); err != broken {
		t.Errorf("reader's error: %v", err)
	}
	if err := c.Split(bytes.NewReader(make([]byte, 10)), func([]byte) error { return broken }); err != broken {
		t.Errorf("emit's error: %v", err)
	}
}

func BenchmarkSplit(b *testing.B) {
	c := New([32]byte{1})
	data := random(5, 32<<20)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Split(bytes.NewReader(data), func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCut(b *testing.B) {
	c := New([32]byte{1})
	data := random(6, Max)
	n := c.Cut(data, 0)
	b.SetBytes(int64(n))
	for b.Loop() {
		c.Cut(data, 0)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New([32]byte{1})
	}
}
