package namespace

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/ident"
)

// The formats that reach the wire stay readable for ever: testdata/records.hex holds one record
// of every kind, as released (the last is the first of version 2), and must be met in both directions.
func TestGoldenRecords(t *testing.T) {
	const path = "testdata/records.hex"
	s := seal.New(ident.ShareID{1}, epoch, [32]byte{7})
	w := ident.Writer{Device: ident.DeviceID{1}, Incarnation: 1}
	ids, vs := samples()
	if os.Getenv("SHELF_WRITE_GOLDEN") != "" { // only for a new format
		var out strings.Builder
		for i := range ids {
			out.WriteString(hex.EncodeToString(encodeRecord(s, ids[i], vs[i])) + "\n")
		}
		must(0, os.WriteFile(path, []byte(out.String()), 0o644))
	}
	lines := strings.Fields(string(must(os.ReadFile(path))))
	if len(lines) != len(ids) {
		t.Fatalf("%d records, want %d", len(lines), len(ids))
	}
	for i, l := range lines {
		want := must(hex.DecodeString(l))
		if got := encodeRecord(s, ids[i], vs[i]); !bytes.Equal(got, want) {
			t.Errorf("record %d is now written as\n%x", i, got)
		}
		r := must(parseRecord(want, w))
		if id, v, err := r.open(s, w, payloadVersion); err != nil || id != ids[i] || v.Dot != vs[i].Dot || v.T != vs[i].T {
			t.Errorf("record %d is now read as %+v, %+v, %v", i, id, v, err)
		}
		for bit := range len(want) * 8 { // every bit counts
			bad := bytes.Clone(want)
			bad[bit/8] ^= 1 << (bit % 8)
			if r, err := parseRecord(bad, w); err == nil {
				if _, _, err := r.open(s, w, payloadVersion); err == nil {
					t.Fatalf("record %d is accepted with bit %d flipped", i, bit)
				}
			}
		}
	}
}

// What a record says has one version of payload, and no other is taken for it.
func TestPayloadVersions(t *testing.T) {
	w := ident.Writer{Device: ident.DeviceID{1}, Incarnation: 1}
	ids, vs := samples()
	for i := range ids {
		for version := range byte(payloadVersion + 1) {
			r := must(parseRecord(encodeRecord(plainSealer{}, ids[i], vs[i]), w))
			r.sealed[0] = version
			if _, _, err := r.open(plainSealer{}, w, payloadVersion); (err == nil) != (version == payloadOf(vs[i])) {
				t.Errorf("record %d as version %d: %v", i, version, err)
			}
		}
	}
}
