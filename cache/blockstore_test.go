package cache

import (
	"testing"

	"github.com/ipfs/boxo/blockstore"
	blockformat "github.com/ipfs/go-block-format"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

func TestBlockstoreView(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	v := s.Blockstore()
	a, b := block(1, 1000), block(2, 50<<10)
	raw := func(x blocks.Sealed) blockformat.Block {
		bl, err := blockformat.NewBlockWithCid(x.Bytes, x.Digest.CID())
		must(t, err)
		return bl
	}
	must(t, v.Put(bg, raw(a)))
	must(t, v.PutMany(bg, []blockformat.Block{raw(a), raw(b)}))
	if ok, err := v.Has(bg, a.Digest.CID()); !ok || err != nil {
		t.Error(ok, err)
	}
	if n, err := v.GetSize(bg, b.Digest.CID()); n != 50<<10 || err != nil {
		t.Error(n, err)
	}
	got, err := v.Get(bg, b.Digest.CID())
	must(t, err)
	if string(got.RawData()) != string(b.Bytes) || got.Cid() != b.Digest.CID() {
		t.Error("other block")
	}
	must(t, v.(blockstore.Viewer).View(bg, a.Digest.CID(), func(p []byte) error {
		if string(p) != string(a.Bytes) {
			t.Error("other bytes")
		}
		return nil
	}))
	n := 0
	ch, err := v.AllKeysChan(bg)
	must(t, err)
	for range ch {
		n++
	}
	if n != 2 {
		t.Errorf("%d keys", n)
	}
	absent := blockformat.NewBlock([]byte("dag-pb, not ours")).Cid()
	for _, c := range []blockformat.Block{raw(block(3, 10)), blockformat.NewBlock([]byte("x"))} {
		if _, err := v.Get(bg, c.Cid()); !ipld.IsNotFound(err) {
			t.Errorf("Get: %v", err)
		}
		if _, err := v.GetSize(bg, c.Cid()); !ipld.IsNotFound(err) {
			t.Errorf("GetSize: %v", err)
		}
	}
	if ok, err := v.Has(bg, absent); ok || err != nil {
		t.Error(ok, err)
	}
	lie, err := blockformat.NewBlockWithCid([]byte("lie"), a.Digest.CID())
	must(t, err)
	if err := v.Put(bg, lie); !errs.Is(err, errs.Corrupt) {
		t.Errorf("a lie: %v", err)
	}
	must(t, s.Own(Owner{Pin, node(1)}, a.Digest))
	if err := v.DeleteBlock(bg, a.Digest.CID()); !errs.Is(err, errs.Busy) {
		t.Errorf("deleting a pinned block: %v", err)
	}
	must(t, v.DeleteBlock(bg, b.Digest.CID()))
	must(t, v.DeleteBlock(bg, b.Digest.CID()))
	wantClass(t, s, None, b.Digest)
}

func BenchmarkGetBlock(b *testing.B) {
	for _, trust := range []bool{false, true} {
		b.Run(map[bool]string{false: "verify", true: "trust"}[trust], func(b *testing.B) {
			s := open(b, b.TempDir(), Options{TrustDisk: trust})
			var ds []blocks.Digest
			for i := range 200 {
				x := block(uint64(i), 256<<10)
				must(b, s.PutBlock(bg, x))
				ds = append(ds, x.Digest)
			}
			buf := make([]byte, 257<<10)
			b.SetBytes(256 << 10)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := s.GetBlockInto(bg, ds[i*7%len(ds)], buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPutBlock(b *testing.B) {
	s := open(b, b.TempDir(), Options{Limit: 256 << 20})
	x := block(1, 256<<10)
	b.SetBytes(256 << 10)
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		x.Digest[0], x.Digest[1], x.Digest[2], x.Digest[3] = byte(i), byte(i>>8), byte(i>>16), 1
		if err := s.PutBlock(bg, x); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStageSync(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	x := block(1, 256<<10)
	b.SetBytes(256 << 10)
	for i := uint64(0); b.Loop(); i++ {
		x.Digest[0], x.Digest[1], x.Digest[2], x.Digest[3] = byte(i), byte(i>>8), byte(i>>16), 1
		must(b, s.Stage(bg, node(1), x))
		must(b, s.Sync(bg))
	}
}
