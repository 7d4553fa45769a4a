package seal

import (
	"bytes"
	"testing"

	"github.com/shelffs/shelf/blocks"
)

func FuzzOpen(f *testing.F) {
	s := testSealer()
	for _, n := range []int{0, 1, 100, 1000} {
		f.Add(mustSeal(f, s, Data, random(uint64(n), n)).Bytes, uint64(n), uint8(Data))
	}
	m, err := s.SealManifest(blocks.Manifest{Size: 5, Children: []blocks.Ref{{Length: 5}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Bytes, uint64(56), uint8(Manifest))
	f.Add([]byte("SHB1"), uint64(1<<63), uint8(9))
	f.Fuzz(func(t *testing.T, sealed []byte, length uint64, typ uint8) {
		b := blocks.New(sealed)
		plain, err := s.OpenStrict(Type(typ), b, length, nil)
		if err == nil { // then it is exactly what sealing would have made
			again := mustSeal(t, s, Type(typ), plain)
			if !bytes.Equal(again.Bytes, sealed) {
				t.Fatal("two blocks open to the same bytes")
			}
		}
		_, _ = s.OpenManifest(b)
	})
}

func FuzzOpenRecord(f *testing.F) {
	s := testSealer()
	f.Add([]byte("header"), s.SealRecord([]byte("header"), []byte("payload")))
	f.Add([]byte(nil), []byte{1})
	f.Fuzz(func(t *testing.T, header, sealed []byte) {
		payload, err := s.OpenRecord(header, sealed)
		if err == nil && !bytes.Equal(s.SealRecord(header, payload), sealed) {
			t.Fatal("two forms of one record")
		}
	})
}
