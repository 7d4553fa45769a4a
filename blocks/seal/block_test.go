package seal

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

var lengths = []int{0, 1, 2, 3, 15, 16, 17, 100, 1000, 4095, 4096, 4097, 65535, 65536, 65537, 290_001, 1 << 20, MaxPlain - 1, MaxPlain}

func TestRoundTrip(t *testing.T) {
	s := testSealer()
	for _, n := range lengths {
		plain := random(uint64(n), n)
		b := mustSeal(t, s, Data, plain)
		if err := b.Verify(); err != nil {
			t.Fatal(err)
		}
		if uint64(len(b.Bytes)) != Overhead+Padme(uint64(n)) || len(b.Bytes) > blocks.MaxSealed {
			t.Errorf("%d bytes became %d", n, len(b.Bytes))
		}
		for name, open := range map[string]func(Type, blocks.Sealed, uint64, []byte) ([]byte, error){"Open": s.Open, "OpenStrict": s.OpenStrict} {
			got, err := open(Data, b, uint64(n), []byte("before"))
			if err != nil || string(got[:6]) != "before" || !bytes.Equal(got[6:], plain) {
				t.Errorf("%s of %d bytes: %d bytes, %v", name, n, len(got), err)
			}
		}
	}
}

func TestSealLimits(t *testing.T) {
	s := testSealer()
	if _, err := s.Seal(Data, make([]byte, MaxPlain+1)); !errs.Is(err, errs.TooLarge) {
		t.Errorf("one byte too long: %v", err)
	}
	for _, typ := range []Type{0, 3, 255} {
		if _, err := s.Seal(typ, nil); !errs.Is(err, errs.Invalid) {
			t.Errorf("type %d: %v", typ, err)
		}
	}
}

// Deduplication needs equality inside a share and epoch; privacy forbids it elsewhere.
func TestEqualityEndsAtTheShare(t *testing.T) {
	plain := random(1, 5000)
	a := mustSeal(t, testSealer(), Data, plain)
	if again := mustSeal(t, testSealer(), Data, bytes.Clone(plain)); again.Digest != a.Digest {
		t.Error("equal plaintext, different blocks")
	}
	for name, b := range map[string]blocks.Sealed{
		"share": mustSeal(t, New(ident.ShareID(key(9)), 7, key(2)), Data, plain),
		"epoch": mustSeal(t, New(ident.ShareID(key(1)), 8, key(2)), Data, plain),
		"key":   mustSeal(t, New(ident.ShareID(key(1)), 7, key(3)), Data, plain),
		"type":  mustSeal(t, testSealer(), Manifest, plain),
	} {
		same := 0
		for i := headLen; i < len(a.Bytes); i++ {
			if a.Bytes[i] == b.Bytes[i] {
				same++
			}
		}
		if bytes.Equal(a.Bytes[sivAt:headLen], b.Bytes[sivAt:headLen]) || same > len(a.Bytes)/100 {
			t.Errorf("other %s: %d equal bytes", name, same)
		}
	}
}

func TestEveryBitFlipFails(t *testing.T) {
	s := testSealer()
	const n = 100
	b := mustSeal(t, s, Data, random(2, n))
	for bit := range len(b.Bytes) * 8 {
		bad := bytes.Clone(b.Bytes)
		bad[bit/8] ^= 1 << (bit % 8)
		renamed := blocks.New(bad) // even under its own digest
		_, err := s.Open(Data, renamed, n, nil)
		wantCorrupt(t, fmt.Sprintf("Open, bit %d", bit), err)
		_, err = s.OpenStrict(Data, renamed, n, nil)
		wantCorrupt(t, fmt.Sprintf("OpenStrict, bit %d", bit), err)
		_, err = s.OpenStrict(Data, blocks.Sealed{Digest: b.Digest, Bytes: bad}, n, nil)
		wantCorrupt(t, fmt.Sprintf("OpenStrict under the old digest, bit %d", bit), err)
	}
}

func TestWrongPlaceFails(t *testing.T) {
	s := testSealer()
	plain := random(3, 1000)
	b := mustSeal(t, s, Data, plain)
	other := mustSeal(t, s, Data, random(4, 1000))
	spliced := append(bytes.Clone(b.Bytes[:headLen]), other.Bytes[headLen:]...)
	for name, c := range map[string]struct {
		s   *Sealer
		typ Type
		b   blocks.Sealed
		n   uint64
	}{
		"share":            {New(ident.ShareID(key(9)), 7, key(2)), Data, b, 1000},
		"epoch":            {New(ident.ShareID(key(1)), 8, key(2)), Data, b, 1000},
		"key":              {New(ident.ShareID(key(1)), 7, key(3)), Data, b, 1000},
		"type":             {s, Manifest, b, 1000},
		"unknown type":     {s, 3, b, 1000},
		"length, bucket":   {s, Data, b, 900},
		"length, huge":     {s, Data, b, 1<<64 - 1},
		"length, over max": {s, Data, b, MaxPlain + 1},
		"no bytes":         {s, Data, blocks.New(nil), 0},
		"only a head":      {s, Data, blocks.New(b.Bytes[:headLen]), 0},
		"truncated":        {s, Data, blocks.New(b.Bytes[:len(b.Bytes)-1]), 1000},
		"extended":         {s, Data, blocks.New(append(bytes.Clone(b.Bytes), 0)), 1000},
		"spliced":          {s, Data, blocks.New(spliced), 1000},
	} {
		_, err := c.s.Open(c.typ, c.b, c.n, nil)
		wantCorrupt(t, "Open: "+name, err)
		_, err = c.s.OpenStrict(c.typ, c.b, c.n, nil)
		wantCorrupt(t, "OpenStrict: "+name, err)
	}
	if _, err := s.OpenStrict(Data, blocks.Sealed{Digest: other.Digest, Bytes: b.Bytes}, 1000, nil); !errs.Is(err, errs.Corrupt) {
		t.Errorf("another block's digest: %v", err)
	}
}

// Who holds the keys could seal bytes into the padding, or choose the iv; a strict reader
// refuses both.
func TestStrictRefusesWhatOnlyAWriterCanForge(t *testing.T) {
	s := testSealer()
	padded := random(5, 1024) // a bucket: all bytes used, seen as 1000 it has a dirty padding
	b := mustSeal(t, s, Data, padded)
	if _, err := s.Open(Data, b, 1000, nil); err != nil {
		t.Fatalf("the case is not what it says: %v", err)
	}
	dst := make([]byte, 0, 2048)
	_, err := s.OpenStrict(Data, b, 1000, dst)
	wantCorrupt(t, "dirty padding", err)
	if !isZero(dst[:cap(dst)]) {
		t.Error("plaintext left behind")
	}

	forged := reference{share: key(1), epoch: 7, key: key(2)}.seal(Data, padded, func(siv []byte) { siv[0] ^= 1 })
	if _, err := s.Open(Data, blocks.New(forged), 1024, nil); err != nil {
		t.Fatalf("the case is not what it says: %v", err)
	}
	_, err = s.OpenStrict(Data, blocks.New(forged), 1024, nil)
	wantCorrupt(t, "chosen iv", err)
}

func TestManifestRoundTripAndRefusals(t *testing.T) {
	s := testSealer()
	m := blocks.Manifest{Size: 30, Children: []blocks.Ref{{Digest: blocks.Digest{1}, Length: 10}, {Length: 20}}}
	b, err := s.SealManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.OpenManifest(b)
	if err != nil || got.Size != 30 || len(got.Children) != 2 || got.Children[0] != m.Children[0] {
		t.Fatalf("%+v, %v", got, err)
	}
	plain := m.Append(nil)
	long := append(bytes.Clone(plain), make([]byte, 100)...)
	dirty := append(bytes.Clone(plain), 1, 0, 0, 0)
	for name, b := range map[string]blocks.Sealed{
		"data":          mustSeal(t, s, Data, plain),
		"too much zero": mustSeal(t, s, Manifest, long),
		"dirty padding": mustSeal(t, s, Manifest, dirty),
		"cut":           mustSeal(t, s, Manifest, plain[:len(plain)-8]),
		"empty":         mustSeal(t, s, Manifest, nil),
		"wrong sum":     mustSeal(t, s, Manifest, blocks.Manifest{Size: 31, Children: m.Children}.Append(nil)),
	} {
		_, err := s.OpenManifest(b)
		wantCorrupt(t, name, err)
	}
}

func TestHotPathsAllocateLittle(t *testing.T) {
	s := testSealer()
	const n = 256 << 10
	plain := random(6, n)
	sealed := make([]byte, 0, Overhead+Padme(n))
	b := mustSeal(t, s, Data, plain)
	dst := make([]byte, 0, n)
	// What remains is the cipher of the one message: its key schedule and GCM's tables.
	if a := testing.AllocsPerRun(20, func() { _, _ = s.AppendSeal(sealed, Data, plain) }); a > 4 {
		t.Errorf("AppendSeal: %v allocations", a)
	}
	if a := testing.AllocsPerRun(20, func() { _, _ = s.Open(Data, b, n, dst) }); a > 4 {
		t.Errorf("Open: %v allocations", a)
	}
}

func TestPadme(t *testing.T) {
	for n, want := range map[uint64]uint64{0: 0, 1: 1, 2: 2, 3: 3, 8: 8, 9: 10, 100: 104, 1000: 1024, 1 << 20: 1 << 20, 1<<20 + 1: 1<<20 + 1<<15, 300_000: 303_104} {
		if got := Padme(n); got != want {
			t.Errorf("Padme(%d) = %d, want %d", n, got, want)
		}
	}
	last := uint64(0)
	for n := range uint64(1 << 21) {
		p := Padme(n)
		if p < n || p < last || Padme(p) != p || n > 0 && float64(p-n)/float64(n) > 0.12 {
			t.Fatalf("Padme(%d) = %d", n, p)
		}
		last = p
	}
}
