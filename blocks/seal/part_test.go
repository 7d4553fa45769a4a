package seal

import (
	"bytes"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// part is what is sent of part i of a block.
func part(r blocks.Ref, b blocks.Sealed, i int) []byte {
	s := PartSpan(r, i)
	return append(bytes.Clone(b.Bytes[:blocks.HeadLen]), b.Bytes[s.Off:s.Off+s.Len]...)
}

func TestPartsAreTheBlock(t *testing.T) {
	s := testSealer()
	for _, n := range []int{blocks.PartLen + 1, 2 * blocks.PartLen, 300_000, MaxPlain} {
		plain := random(uint64(n), n)
		b, r, err := s.AppendData(nil, plain)
		if err != nil || len(r.Sums) != blocks.Parts(uint64(n))*blocks.SumLen {
			t.Fatalf("%d bytes: %d bytes of sums, %v", n, len(r.Sums), err)
		}
		got := []byte("x")
		for i := range blocks.Parts(uint64(n)) {
			if got, err = s.OpenPart(r, i, part(r, b, i), got); err != nil {
				t.Fatalf("%d bytes, part %d: %v", n, i, err)
			}
		}
		if !bytes.Equal(got[1:], plain) {
			t.Errorf("%d bytes: the parts are not the block", n)
		}
	}
	for _, n := range []int{0, 1, blocks.PartLen} {
		if _, r, err := s.AppendData(nil, make([]byte, n)); err != nil || r.Sums != "" {
			t.Errorf("%d bytes: sums of one part, %v", n, err)
		}
	}
}

// A part opens only as what it is: nothing of it may differ, nor what is known of it.
func TestOpenPartRefuses(t *testing.T) {
	s := testSealer()
	plain := random(1, 150_000)
	b, r, err := s.AppendData(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	good := part(r, b, 1)
	refuse := func(name string, r blocks.Ref, i int, sent []byte) {
		t.Helper()
		dst := make([]byte, 0, 1<<20)
		if got, err := s.OpenPart(r, i, sent, dst); got != nil || !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if !isZero(dst[:cap(dst)]) {
			t.Errorf("%s: left a plaintext behind", name)
		}
	}
	for _, bit := range []int{0, 4, 5, 7, 11, 15, 16, 47, 48, 30_000, len(good) - 1} {
		sent := bytes.Clone(good)
		sent[bit] ^= 1
		refuse("a bit of it", r, 1, sent)
	}
	refuse("another part", r, 0, good)
	refuse("no part", r, 3, good)
	refuse("a part before the first", r, -1, good)
	refuse("cut", r, 1, good[:len(good)-1])
	refuse("longer", r, 1, append(bytes.Clone(good), 0))
	refuse("nothing", r, 1, nil)
	with := func(f func(r *blocks.Ref)) blocks.Ref { x := r; f(&x); return x }
	refuse("without sums", with(func(r *blocks.Ref) { r.Sums = "" }), 1, good)
	refuse("another sum", with(func(r *blocks.Ref) { r.Sums = r.Sums[:20] + "x" + r.Sums[21:] }), 1, good)
	refuse("a sum less", with(func(r *blocks.Ref) { r.Sums = r.Sums[:2*blocks.SumLen] }), 1, good)
	refuse("another length", with(func(r *blocks.Ref) { r.Length -= 30_000 }), 1, good)
	other, _, err := s.AppendData(nil, random(2, 150_000))
	if err != nil {
		t.Fatal(err)
	}
	refuse("another block's header", r, 1, append(bytes.Clone(other.Bytes[:blocks.HeadLen]), good[blocks.HeadLen:]...))
	refuse("another block", r, 1, part(r, other, 1))
}
