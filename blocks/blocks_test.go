package blocks

import (
	"testing"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/shelffs/shelf/internal/errs"
)

// The CID must be the one that IPFS tools give the same bytes (ipfs add --raw-leaves).
func TestCID(t *testing.T) {
	d := Sum([]byte("hello world"))
	if got, want := d.String(), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"; got != want {
		t.Errorf("CID %s, want %s", got, want)
	}
	if back, err := DigestOf(d.CID()); err != nil || back != d {
		t.Errorf("DigestOf: %v, %v", back, err)
	}
}

func TestDigestOfRefusesOtherCIDs(t *testing.T) {
	d := Sum(nil)
	sha, err := mh.Encode(d[:], mh.SHA2_256)
	if err != nil {
		t.Fatal(err)
	}
	id, err := mh.Encode(d[:], mh.IDENTITY)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]cid.Cid{
		"dag-pb":        cid.NewCidV1(cid.DagProtobuf, sha),
		"version 0":     cid.NewCidV0(sha),
		"identity hash": cid.NewCidV1(cid.Raw, id),
	} {
		if _, err := DigestOf(c); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerify(t *testing.T) {
	b := New([]byte("bytes"))
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]Sealed{
		"other bytes": {Digest: b.Digest, Bytes: []byte("Bytes")},
		"no digest":   {Bytes: b.Bytes},
		"too long":    New(make([]byte, MaxSealed+1)),
	} {
		if err := bad.Verify(); !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
