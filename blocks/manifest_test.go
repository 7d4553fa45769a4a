package blocks

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

func TestManifestBytes(t *testing.T) {
	m := Manifest{Level: 0, Size: 0x0105, Children: []Ref{{Digest: Digest{0xaa, 31: 0xbb}, Length: 0x0100}, {Length: 5}}}
	const want = "0100" + "0000" + "0000000000000105" + "00000002" +
		"aa000000000000000000000000000000000000000000000000000000000000bb" + "0000000000000100" +
		"0000000000000000000000000000000000000000000000000000000000000000" + "0000000000000005"
	b := m.Append([]byte("x"))[1:]
	if hex.EncodeToString(b) != want || len(b) != m.EncodedLen() {
		t.Fatalf("%x", b)
	}
	got, err := ParseManifest(b)
	if err != nil || got.Level != m.Level || got.Size != m.Size || len(got.Children) != 2 || got.Children[0] != m.Children[0] || got.Children[1] != m.Children[1] {
		t.Fatalf("%+v, %v", got, err)
	}
	if !got.Children[1].IsHole() || got.Children[0].IsHole() {
		t.Error("holes confused")
	}
}

// Sums stand behind all children, in their order.
func TestManifestWithSums(t *testing.T) {
	sums := func(n int, x byte) string { return strings.Repeat(string(x), n*SumLen) }
	m := Manifest{Size: 4*PartLen + 17, Children: []Ref{
		{Digest: Digest{1}, Length: 2*PartLen + 1, Sums: sums(3, 'a')}, {Length: 7},
		{Digest: Digest{2}, Length: PartLen}, {Digest: Digest{3}, Length: PartLen + 9, Sums: sums(2, 'b')},
	}}
	b := m.Append([]byte("x"))[1:]
	if b[0] != 2 || !bytes.HasSuffix(b, []byte(sums(3, 'a')+sums(2, 'b'))) || len(b) != m.EncodedLen() || b[manifestHead+32] != 0x80 || b[manifestHead+2*refBytes+32] != 0 {
		t.Fatalf("%x", b)
	}
	got, err := ParseManifest(b)
	if err != nil || !slices.Equal(got.Children, m.Children) {
		t.Fatalf("%+v, %v", got, err)
	}
	if n, err := ManifestLen(append(bytes.Clone(b), 0, 0)); err != nil || n != len(b) {
		t.Fatalf("%d of %d bytes, %v", n, len(b), err)
	}
	edit := func(at int, x byte) []byte { c := bytes.Clone(b); c[at] ^= x; return c }
	at := func(child int) int { return manifestHead + refBytes*child + 32 }
	without := Manifest{Size: 7, Children: m.Children[1:2]}.Append(nil)
	without[0] = 2
	for name, bad := range map[string][]byte{
		"version 1 with a flag":    edit(0, 3),
		"cut":                      b[:len(b)-1],
		"longer":                   append(bytes.Clone(b), 0),
		"one sum less":             b[:len(b)-SumLen],
		"above level 0":            edit(1, 1),
		"a flag less":              edit(at(0), 0x80),
		"a flag on a hole":         edit(at(1), 0x80),
		"a flag on a block of one": edit(at(2), 0x80),
		"version 2 without sums":   without,
		"sums of too long a block": Manifest{Size: MaxSealed + 1, Children: []Ref{{Digest: Digest{1}, Length: MaxSealed + 1, Sums: sums(65, 'c')}}}.Append(nil),
	} {
		if m, err := ParseManifest(bad); !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestManifestLargest(t *testing.T) {
	m := Manifest{Level: MaxDepth - 1, Children: make([]Ref, MaxChildren)}
	for i := range m.Children {
		m.Children[i] = Ref{Digest: Digest{1}, Length: MaxSize / MaxChildren}
		m.Size += m.Children[i].Length
	}
	b := m.Append(nil)
	if _, err := ParseManifest(b); err != nil || len(b) > MaxSealed {
		t.Fatalf("%d bytes: %v", len(b), err)
	}
}

func TestParseManifestRefuses(t *testing.T) {
	d := Digest{1}
	ok := Manifest{Size: 30, Children: []Ref{{Digest: d, Length: 10}, {Length: 20}}}
	edit := func(at int, x byte) []byte { b := ok.Append(nil); b[at] = x; return b }
	of := func(level uint8, size uint64, cs ...Ref) []byte { return Manifest{level, size, cs}.Append(nil) }
	for name, b := range map[string][]byte{
		"nothing":                nil,
		"half a head":            ok.Append(nil)[:15],
		"version 0":              edit(0, 0),
		"version 2":              edit(0, 2),
		"too many levels":        of(MaxDepth, 10, Ref{Digest: d, Length: 10}),
		"reserved bytes":         edit(3, 1),
		"sum too small":          of(0, 29, ok.Children...),
		"sum too large":          of(0, 31, ok.Children...),
		"no children":            of(0, 0),
		"huge count":             edit(12, 0xff),
		"one child more":         edit(15, 3),
		"one child less":         edit(15, 1),
		"cut":                    ok.Append(nil)[:95],
		"longer":                 append(ok.Append(nil), 0),
		"empty child":            of(0, 10, Ref{Digest: d, Length: 10}, Ref{Digest: d, Length: 0}),
		"empty hole":             of(0, 10, Ref{Digest: d, Length: 10}, Ref{Length: 0}),
		"hole above level 0":     of(1, 20, Ref{Digest: d, Length: 10}, Ref{Length: 10}),
		"data block over a seal": of(0, MaxSealed+1, Ref{Digest: d, Length: MaxSealed + 1}),
		"sum wraps":              of(0, 4, Ref{Length: math.MaxUint64}, Ref{Digest: d, Length: 5}),
		"over a file's limit":    of(0, MaxSize+1, Ref{Length: MaxSize}, Ref{Digest: d, Length: 1}),
		"child over the limit":   of(1, math.MaxUint64, Ref{Digest: d, Length: math.MaxUint64}),
	} {
		if m, err := ParseManifest(b); !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	over := Manifest{Children: make([]Ref, MaxChildren+1)}
	for i := range over.Children {
		over.Children[i].Length = 1
		over.Size++
	}
	if _, err := ParseManifest(over.Append(nil)); !errs.Is(err, errs.Corrupt) {
		t.Errorf("too many children: %v", err)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(Manifest{Size: 30, Children: []Ref{{Digest: Digest{1}, Length: 10}, {Length: 20}}}.Append(nil))
	f.Add(Manifest{Size: PartLen + 1, Children: []Ref{{Digest: Digest{1}, Length: PartLen + 1, Sums: strings.Repeat("s", 2*SumLen)}}}.Append(nil))
	f.Add(Manifest{Level: 2, Size: 1 << 40, Children: []Ref{{Digest: Digest{1}, Length: 1 << 40}}}.Append(nil))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x20, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseManifest(b)
		if err != nil {
			if !errs.Is(err, errs.Corrupt) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		var sum uint64
		for _, c := range m.Children {
			sum += c.Length
		}
		if sum != m.Size || sum > MaxSize || !bytes.Equal(m.Append(nil), b) {
			t.Fatal("accepted what Append would not write")
		}
	})
}
