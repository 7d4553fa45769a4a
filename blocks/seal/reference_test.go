package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// reference writes the formats down a second time, in the words of the design and with
// nothing shared with the code under test but the standard library.
type reference struct {
	share [32]byte
	epoch uint32
	key   [32]byte
}

func (r reference) derive(key []byte, label string, ctx []byte) []byte {
	out, err := hkdf.Expand(sha256.New, key, label+"\x00"+string(ctx), 32)
	if err != nil {
		panic(err)
	}
	return out
}

func (r reference) ctx() []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(r.share[:]), r.epoch)
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)
}

func gcm(key, plain, aad []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a.Seal(nil, make([]byte, 12), plain, aad)
}

func pad(b []byte) []byte {
	return append(bytes.Clone(b), make([]byte, int(Padme(uint64(len(b))))-len(b))...)
}

// hashes are those of the parts of a padded plaintext: 60 KiB each, the last with what is left.
func hashes(p []byte, length int) (out []byte) {
	for ; length > 60<<10; length -= 60 << 10 {
		h := sha256.Sum256(p[:60<<10])
		out, p = append(out, h[:]...), p[60<<10:]
	}
	h := sha256.Sum256(p)
	return append(out, h[:]...)
}

// seal makes a block; spoil may change the iv before it is used.
func (r reference) seal(typ Type, plain []byte, spoil func(siv []byte)) []byte {
	p := pad(plain)
	head := append([]byte("SHB1"), 2, byte(typ), 0, 0)
	head = binary.BigEndian.AppendUint32(head, r.epoch)
	head = binary.BigEndian.AppendUint32(head, uint32(len(p)))
	siv := mac(r.derive(r.key[:], "shelf1/block/siv", r.ctx()), head, r.share[:], make([]byte, 16), hashes(p, len(plain)))
	if spoil != nil {
		spoil(siv)
	}
	k := r.derive(r.derive(r.key[:], "shelf1/block/enc", r.ctx()), "shelf1/block/key", siv)
	head = append(head, siv...)
	return append(bytes.Clone(head), gcm(k, p, append(bytes.Clone(head), r.share[:]...))...)
}

func (r reference) record(header, payload []byte, spoil func(p []byte)) []byte {
	p := pad(append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...))
	if spoil != nil {
		spoil(p)
	}
	n := binary.BigEndian.AppendUint32(nil, uint32(len(header)))
	siv := mac(r.derive(r.key[:], "shelf1/record/siv", r.ctx()), n, header, p)
	k := r.derive(r.derive(r.key[:], "shelf1/record/enc", r.ctx()), "shelf1/record/key", siv)
	return append(append([]byte{1}, siv...), gcm(k, p, append([]byte{1}, header...))...)
}

func TestFormatIsTheReferences(t *testing.T) {
	r := reference{share: key(1), epoch: 7, key: key(2)}
	s := testSealer()
	for _, n := range []int{0, 1, 5, 100, 5000, 300_000} {
		plain := random(uint64(n), n)
		for _, typ := range []Type{Data, Manifest} {
			if got := mustSeal(t, s, typ, plain); !bytes.Equal(got.Bytes, r.seal(typ, plain, nil)) {
				t.Errorf("block of %d bytes, type %d differs", n, typ)
			}
		}
		if got := s.SealRecord(plain[:n/2], plain[n/2:]); !bytes.Equal(got, r.record(plain[:n/2], plain[n/2:], nil)) {
			t.Errorf("record of %d bytes differs", n)
		}
	}
	if got, want := s.RegisterKey([16]byte(bytes.Repeat([]byte{4}, 16)), []byte("C")), mac(r.derive(r.key[:], "shelf1/record/reg", r.ctx()), bytes.Repeat([]byte{4}, 16), []byte("C")); !bytes.Equal(got[:], want[:16]) {
		t.Errorf("register key %x, want %x", got, want[:16])
	}
	if got := s.ChunkKey(); !bytes.Equal(got[:], r.derive(r.key[:], "shelf1/chunker", r.ctx())) {
		t.Errorf("chunk key %x", got)
	}
}

var update = flag.Bool("update", false, "write testdata anew (only for a new format version)")

// A vector is a block or record that a released version wrote, or one that must be refused.
type vector struct {
	Name   string `json:"name"`
	Share  string `json:"share"`
	Epoch  uint32 `json:"epoch"`
	Key    string `json:"read_key"`
	Kind   string `json:"kind"`             // data, manifest, record
	Header string `json:"header,omitempty"` // of a record
	Length uint64 `json:"length"`           // of the plaintext
	Plain  string `json:"plain,omitempty"`  // absent: must be refused
	Sealed string `json:"sealed"`
}

// vectorFiles are those of all versions that must open. The last one is written by the present one.
var vectorFiles = []string{"testdata/v1.json", "testdata/v2.json"}

func TestGoldenVectors(t *testing.T) {
	if *update {
		writeVectors(t, vectorFiles[len(vectorFiles)-1])
	}
	for _, file := range vectorFiles {
		t.Run(file, func(t *testing.T) { testVectors(t, file) })
	}
}

func testVectors(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(raw, &vs); err != nil || len(vs) < 20 {
		t.Fatalf("%d vectors, %v", len(vs), err)
	}
	for _, v := range vs {
		unhex := func(s string) []byte {
			b, err := hex.DecodeString(s)
			if err != nil {
				t.Fatal(v.Name, err)
			}
			return b
		}
		s := New(ident.ShareID(unhex(v.Share)), v.Epoch, [32]byte(unhex(v.Key)))
		sealed := unhex(v.Sealed)
		var got []byte
		switch v.Kind {
		case "record":
			got, err = s.OpenRecord(unhex(v.Header), sealed)
		case "manifest":
			got, err = s.OpenStrict(Manifest, blocks.New(sealed), v.Length, nil)
		default:
			got, err = s.OpenStrict(Data, blocks.New(sealed), v.Length, nil)
		}
		accept := v.Plain != "" || v.Length == 0 && v.Name[:2] == "ok"
		switch {
		case !accept && !errs.Is(err, errs.Corrupt):
			t.Errorf("%s: accepted, or %v", v.Name, err)
		case accept && (err != nil || !bytes.Equal(got, unhex(v.Plain))):
			t.Errorf("%s: %x, %v", v.Name, got, err)
		}
	}
}

func writeVectors(t *testing.T, file string) {
	r := reference{share: key(0x11), epoch: 1, key: key(0x22)}
	var vs []vector
	add := func(name, kind string, header []byte, length int, plain, sealed []byte) {
		vs = append(vs, vector{name, hex.EncodeToString(r.share[:]), r.epoch, hex.EncodeToString(r.key[:]), kind,
			hex.EncodeToString(header), uint64(length), hex.EncodeToString(plain), hex.EncodeToString(sealed)})
	}
	for _, n := range []int{0, 1, 9, 100, 1000} {
		p := random(uint64(n), n)
		add("ok data", "data", nil, n, p, r.seal(Data, p, nil))
		add("ok record", "record", []byte("header"), n, p, r.record([]byte("header"), p, nil))
	}
	m := blocks.Manifest{Size: 12, Children: []blocks.Ref{{Digest: blocks.Digest{1}, Length: 5}, {Length: 7}}}.Append(nil)
	add("ok manifest", "manifest", nil, len(m), m, r.seal(Manifest, m, nil))

	p := random(3, 100)
	good := r.seal(Data, p, nil)
	refuse := func(name, kind string, length int, sealed []byte) {
		add("refuse "+name, kind, nil, length, nil, sealed)
	}
	at := func(i int, x byte) []byte { b := bytes.Clone(good); b[i] ^= x; return b }
	refuse("magic", "data", 100, at(0, 1))
	refuse("suite 1", "data", 100, at(4, 3))
	refuse("suite 3", "data", 100, at(4, 1))
	refuse("type in the header", "data", 100, at(5, 3))
	refuse("reserved bytes", "data", 100, at(7, 1))
	refuse("epoch in the header", "data", 100, at(11, 3))
	refuse("padded length", "data", 100, at(15, 4))
	refuse("siv", "data", 100, at(16, 1))
	refuse("tag", "data", 100, at(len(good)-1, 1))
	refuse("truncated", "data", 100, good[:len(good)-1])
	refuse("another type", "manifest", 100, good)
	refuse("another bucket", "data", 1000, good)
	refuse("chosen iv", "data", 100, r.seal(Data, p, func(siv []byte) { siv[0]++ }))
	refuse("dirty padding", "data", 101, r.seal(Data, append(bytes.Clone(p), 0, 0, 1, 0), nil))
	rec := r.record([]byte("header"), p, nil)
	add("refuse other header", "record", []byte("Header"), 100, nil, rec)
	add("refuse length over payload", "record", nil, 100, nil, r.record(nil, p, func(p []byte) { p[0] = 0xff }))
	add("refuse length in another bucket", "record", nil, 100, nil, r.record(nil, p, func(p []byte) { p[3] = 1 }))
	add("refuse dirty record padding", "record", nil, 9, nil, r.record(nil, p[:9], func(p []byte) { p[len(p)-1] = 1 }))
	add("refuse short record", "record", nil, 0, nil, rec[:RecordOverhead-1])

	out, err := json.MarshalIndent(vs, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(out, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
