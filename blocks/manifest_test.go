package blocks

import (
	"bytes"
	"encoding/hex"
	"math"
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
	ok := Manifest{Size: 30, Children: []Ref{{d, 10}, {Digest{}, 20}}}
	edit := func(at int, x byte) []byte { b := ok.Append(nil); b[at] = x; return b }
	of := func(level uint8, size uint64, cs ...Ref) []byte { return Manifest{level, size, cs}.Append(nil) }
	for name, b := range map[string][]byte{
		"nothing":                nil,
		"half a head":            ok.Append(nil)[:15],
		"version 0":              edit(0, 0),
		"version 2":              edit(0, 2),
		"too many levels":        of(MaxDepth, 10, Ref{d, 10}),
		"reserved bytes":         edit(3, 1),
		"sum too small":          of(0, 29, ok.Children...),
		"sum too large":          of(0, 31, ok.Children...),
		"no children":            of(0, 0),
		"huge count":             edit(12, 0xff),
		"one child more":         edit(15, 3),
		"one child less":         edit(15, 1),
		"cut":                    ok.Append(nil)[:95],
		"longer":                 append(ok.Append(nil), 0),
		"empty child":            of(0, 10, Ref{d, 10}, Ref{d, 0}),
		"empty hole":             of(0, 10, Ref{d, 10}, Ref{Digest{}, 0}),
		"hole above level 0":     of(1, 20, Ref{d, 10}, Ref{Digest{}, 10}),
		"data block over a seal": of(0, MaxSealed+1, Ref{d, MaxSealed + 1}),
		"sum wraps":              of(0, 4, Ref{Digest{}, math.MaxUint64}, Ref{d, 5}),
		"over a file's limit":    of(0, MaxSize+1, Ref{Digest{}, MaxSize}, Ref{d, 1}),
		"child over the limit":   of(1, math.MaxUint64, Ref{d, math.MaxUint64}),
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
	f.Add(Manifest{Size: 30, Children: []Ref{{Digest{1}, 10}, {Digest{}, 20}}}.Append(nil))
	f.Add(Manifest{Level: 2, Size: 1 << 40, Children: []Ref{{Digest{1}, 1 << 40}}}.Append(nil))
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
