package heat

import (
	"bytes"
	"maps"
	"math"
	"testing"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/ident"
)

func fullSet() set {
	s := set{}
	for i := range maxSet {
		s[node(i)] = levelOf(float64(i))
	}
	return s
}

func TestSetThereAndBack(t *testing.T) {
	for _, s := range []set{{}, {node(3): 7}, fullSet()} {
		got, err := parseSet(s.encode())
		if err != nil || !maps.Equal(got, s) {
			t.Errorf("%d files: %v, %v", len(s), got, err)
		}
	}
	sealed := seal.New(ident.ShareID{1}, 1, [32]byte{7}).SealRecord(header(ident.DeviceID{2}), fullSet().encode())
	if len(sealed) > setFrame {
		t.Errorf("a full set takes %d bytes sealed, and no more than %d are read", len(sealed), setFrame)
	}
	for h := 1. / 16; h <= maxHeat; h *= 1.3 {
		if got := levelOf(h).heat(); math.Abs(got/h-1) > 0.1 {
			t.Errorf("%g came back as %g", h, got)
		}
	}
	if levelOf(0) != 0 || levelOf(1e9) != maxLevel {
		t.Error("levels are not bounded")
	}
}

func TestBadSetsAreRefused(t *testing.T) {
	good := set{node(1): 3, node(2): 4}.encode()
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	over := fullSet()
	over[node(maxSet)] = 1
	for name, b := range map[string][]byte{
		"empty":      {},
		"version":    change(func(b []byte) []byte { b[0]++; return b }),
		"short":      good[:len(good)-1],
		"long":       append(bytes.Clone(good), 0),
		"count":      change(func(b []byte) []byte { b[2]++; return b }),
		"descending": change(func(b []byte) []byte { b[4]++; b[4+setItem]--; return b }),
		"twice":      change(func(b []byte) []byte { copy(b[setHead+setItem:], b[setHead:setHead+setItem]); return b }),
		"too hot":    change(func(b []byte) []byte { b[setHead+16] = maxLevel + 1; return b }),
		"too many":   over.encode(),
	} {
		if got, err := parseSet(b); err == nil {
			t.Errorf("%s: taken as %v", name, got)
		}
	}
}

// Whatever comes, it is refused, or is a set that is written in one way only.
func FuzzParseSet(f *testing.F) {
	f.Add([]byte{})
	f.Add(set{}.encode())
	f.Add(set{node(1): 3, node(2): 4}.encode())
	f.Add(fullSet().encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSet(b)
		if err != nil {
			return
		}
		if len(s) > maxSet || !bytes.Equal(s.encode(), b) {
			t.Errorf("%x was taken as %v", b, s)
		}
	})
}

func FuzzParseRow(f *testing.F) {
	f.Add([]byte{})
	f.Add(row{heat: Heat{n: 2.5, at: 9}, used: 8, marked: 7, kept: true}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := parseRow(b); ok {
			if again, ok := parseRow(r.marshal()); !ok || again != r {
				t.Errorf("%+v, then %+v", r, again)
			}
		}
	})
}
