package kv

import (
	"bytes"
	"crypto/cipher"
	"math/rand/v2"
	"testing"
)

// The keystream is that of AES-CTR, whatever is short or long, and whatever iv carries over.
func TestRowStreamIsCTR(t *testing.T) {
	r, err := newRowSealer(bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 200 {
		siv, src := make([]byte, sivLen), make([]byte, rng.IntN(3*shortRow))
		for j := range siv {
			siv[j] = byte(rng.Uint32())
		}
		if i%3 == 0 { // the counter overflows, once into its upper half
			copy(siv[8-i%2:], bytes.Repeat([]byte{0xff}, sivLen))
		}
		got, want := make([]byte, len(src)), make([]byte, len(src))
		r.crypt(&rowTools{}, siv, got, src)
		cipher.NewCTR(r.enc, siv).XORKeyStream(want, src)
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes from %x differ", len(src), siv)
		}
	}
}

// Only the same value in the same row looks the same on the disk.
func TestEqualRowsOnly(t *testing.T) {
	r, err := newRowSealer(bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(k, v string) string {
		row := make([]byte, len(v)+rowOverhead)
		r.seal(row, Key(k), []byte(v))
		return string(row)
	}
	seen := map[string]bool{}
	for _, x := range [][2]string{{"ta", "value"}, {"tb", "value"}, {"ta", "Value"}, {"t", "avalue"}, {"tav", "alue"}} {
		row := sealed(x[0], x[1])
		if row != sealed(x[0], x[1]) {
			t.Errorf("%q is sealed in two ways", x)
		}
		for _, part := range []string{row[1:rowOverhead], row[rowOverhead : rowOverhead+4]} {
			if seen[part] {
				t.Errorf("%q looks like another", x)
			}
			seen[part] = true
		}
	}
}

func BenchmarkRow(b *testing.B) {
	r, err := newRowSealer(bytes.Repeat([]byte{3}, 32))
	if err != nil {
		b.Fatal(err)
	}
	k, v, row := make(Key, 33), make([]byte, 100), make([]byte, 100+rowOverhead)
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.seal(row, k, v)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.open(v[:0], k, row); err != nil {
				b.Fatal(err)
			}
		}
	})
}
