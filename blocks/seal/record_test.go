package seal

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/shelffs/shelf/internal/ident"
)

func TestRecordRoundTrip(t *testing.T) {
	s := testSealer()
	for _, n := range []int{0, 1, 60, 250, 300, 70_000} {
		for _, h := range []int{0, 1, 100, 127, 128, 300, 5000} {
			header, payload := random(uint64(h), h), random(uint64(n), n)
			sealed := s.SealRecord(header, payload)
			if !bytes.Equal(sealed, s.SealRecord(header, payload)) {
				t.Fatal("not deterministic")
			}
			if want := RecordOverhead - recordLength + int(Padme(uint64(recordLength+n))); len(sealed) != want {
				t.Errorf("%d bytes became %d, want %d", n, len(sealed), want)
			}
			got, err := s.OpenRecord(header, sealed)
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("header %d, payload %d: %v", h, n, err)
			}
		}
	}
}

func TestRecordEveryBitFlipFails(t *testing.T) {
	s := testSealer()
	header := []byte("register, dot, past, class")
	sealed := s.SealRecord(header, []byte("name and content"))
	for bit := range len(sealed) * 8 {
		bad := bytes.Clone(sealed)
		bad[bit/8] ^= 1 << (bit % 8)
		_, err := s.OpenRecord(header, bad)
		wantCorrupt(t, fmt.Sprintf("bit %d", bit), err)
	}
	for bit := range len(header) * 8 {
		bad := bytes.Clone(header)
		bad[bit/8] ^= 1 << (bit % 8)
		_, err := s.OpenRecord(bad, sealed)
		wantCorrupt(t, fmt.Sprintf("header bit %d", bit), err)
	}
	for n := range len(sealed) {
		_, err := s.OpenRecord(header, sealed[:n])
		wantCorrupt(t, fmt.Sprintf("cut to %d", n), err)
	}
	for name, other := range map[string]*Sealer{
		"share": New(ident.ShareID(key(9)), 7, key(2)),
		"epoch": New(ident.ShareID(key(1)), 8, key(2)),
		"key":   New(ident.ShareID(key(1)), 7, key(3)),
	} {
		_, err := other.OpenRecord(header, sealed)
		wantCorrupt(t, "other "+name, err)
	}
}

func TestRegisterKeySeparates(t *testing.T) {
	s := testSealer()
	base := s.RegisterKey([16]byte{1}, []byte("C"))
	if base != s.RegisterKey([16]byte{1}, []byte("C")) {
		t.Error("not a function")
	}
	if base == s.RegisterKey([16]byte{2}, []byte("C")) || base == s.RegisterKey([16]byte{1}, []byte("A")) || base == s.RegisterKey([16]byte{1}, nil) {
		t.Error("two registers share a key")
	}
	if base == New(ident.ShareID(key(1)), 8, key(2)).RegisterKey([16]byte{1}, []byte("C")) {
		t.Error("the key says which register it is in another epoch")
	}
}
