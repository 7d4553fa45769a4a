package blocks

import (
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

func TestSummerChecksWhatItTookIn(t *testing.T) {
	whole := []byte("some bytes of a block")
	b := New(whole)
	for _, c := range []struct {
		name  string
		fed   string
		bytes string
		good  bool
	}{
		{"all of it", string(whole), string(whole), true},
		{"nothing", "", string(whole), true},
		{"a part", "some", string(whole), true},
		{"nothing, of others", "", "other bytes of a block", false},
		{"all of others", "SOME bytes of a block", "SOME bytes of a block", false},
	} {
		s := NewSummer()
		for _, x := range []byte(c.fed) {
			_, _ = s.Write([]byte{x})
		}
		err := s.Verify(Sealed{Digest: b.Digest, Bytes: []byte(c.bytes)})
		if (err == nil) != c.good || err != nil && !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	var none *Summer
	if none.Verify(b) != nil || none.Verify(Sealed{Digest: b.Digest, Bytes: []byte("x")}) == nil {
		t.Error("without one the bytes are not checked")
	}
}
