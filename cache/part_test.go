package cache

import (
	"bytes"
	"math"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

func TestParts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{TrustDisk: true})
	large, small, tiny := block(1, 300_000), block(2, 1000), block(3, blocks.HeadLen-1)
	for _, b := range []blocks.Sealed{large, small, tiny} {
		must(t, s.PutBlock(bg, b))
	}
	for _, b := range []blocks.Sealed{large, small} {
		n := uint32(len(b.Bytes))
		for _, p := range []blocks.Span{{Off: 48, Len: 1}, {Off: n - 7, Len: 7}, {Off: 48, Len: n - 48}, {Off: 500, Len: 300}, {Off: n, Len: 0}} {
			got, err := s.GetPart(bg, b.Digest, p, fresh)
			if err != nil || !bytes.Equal(got[:blocks.HeadLen], b.Bytes[:blocks.HeadLen]) || !bytes.Equal(got[blocks.HeadLen:], b.Bytes[p.Off:p.Off+p.Len]) {
				t.Errorf("%+v of %d bytes: %d, %v", p, n, len(got), err)
			}
		}
		for _, p := range []blocks.Span{{Off: 47, Len: 10}, {Off: n - 7, Len: 8}, {Off: 48, Len: n - 47}, {Off: 100, Len: math.MaxUint32}, {Off: math.MaxUint32, Len: 100}} {
			if _, err := s.GetPart(bg, b.Digest, p, fresh); !errs.Is(err, errs.Invalid) {
				t.Errorf("%+v of %d bytes: %v", p, n, err)
			}
		}
	}
	if _, err := s.GetPart(bg, tiny.Digest, blocks.Span{Off: 48}, fresh); !errs.Is(err, errs.Invalid) {
		t.Errorf("a block without a whole header: %v", err)
	}
	if _, err := s.GetPart(bg, blocks.Digest{9}, blocks.Span{Off: 48, Len: 1}, fresh); !errs.Is(err, errs.NotExist) {
		t.Errorf("a block that is not here: %v", err)
	}
	must(t, s.Close())

	overwrite(t, segmentFiles(t, dir)[0], 0, []byte("damage in the header"))
	s = open(t, dir, Options{TrustDisk: true})
	if _, err := s.GetPart(bg, large.Digest, blocks.Span{Off: 500, Len: 300}, fresh); !errs.Is(err, errs.NotExist) {
		t.Errorf("a damaged record: %v", err)
	}
	wantClass(t, s, None, large.Digest)
	audit(t, s)
}
