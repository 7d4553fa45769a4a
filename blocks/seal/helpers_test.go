package seal

import (
	"math/rand/v2"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

func key(fill byte) (k [32]byte) {
	for i := range k {
		k[i] = fill
	}
	return k
}

func testSealer() *Sealer { return New(ident.ShareID(key(1)), 7, key(2)) }

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

func mustSeal(t testing.TB, s *Sealer, typ Type, plain []byte) blocks.Sealed {
	t.Helper()
	b, err := s.Seal(typ, plain)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantCorrupt demands the one error of all failures.
func wantCorrupt(t testing.TB, what string, err error) {
	t.Helper()
	if !errs.Is(err, errs.Corrupt) {
		t.Fatalf("%s: %v, want Corrupt", what, err)
	}
}
