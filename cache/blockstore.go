package cache

import (
	"context"

	"github.com/ipfs/boxo/blockstore"
	blockformat "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// Blockstore shows the store to IPFS code, which knows the sealed blocks as raw leaves. Its
// blocks are Fetched: DeleteBlock refuses others.
func (s *Store) Blockstore() blockstore.Blockstore { return blockView{s} }

type blockView struct{ s *Store }

var (
	_ blockstore.Blockstore = blockView{}
	_ blockstore.Viewer     = blockView{}
)

// notFound turns what is not here into the error that IPFS code expects.
func notFound(c cid.Cid, err error) error {
	if errs.Is(err, errs.NotExist) {
		return ipld.ErrNotFound{Cid: c}
	}
	return err
}

func (v blockView) DeleteBlock(ctx context.Context, c cid.Cid) error {
	d, err := blocks.DigestOf(c)
	if err != nil {
		return nil // not one of ours, so it is not here
	}
	if err := v.s.Drop(ctx, d); err != nil {
		return err
	}
	if k, err := v.s.Class(d); err != nil || k != None {
		return errs.E("cache.DeleteBlock", errs.Busy, d.Short(), err)
	}
	return nil
}

func (v blockView) Has(ctx context.Context, c cid.Cid) (bool, error) {
	d, err := blocks.DigestOf(c)
	if err != nil {
		return false, nil
	}
	k, err := v.s.Class(d)
	return k != None, err
}

func (v blockView) Get(ctx context.Context, c cid.Cid) (blockformat.Block, error) {
	d, err := blocks.DigestOf(c)
	if err != nil {
		return nil, ipld.ErrNotFound{Cid: c}
	}
	b, err := v.s.GetBlock(ctx, d)
	if err != nil {
		return nil, notFound(c, err)
	}
	return blockformat.NewBlockWithCid(b.Bytes, c)
}

// View implements blockstore.Viewer.
func (v blockView) View(ctx context.Context, c cid.Cid, fn func([]byte) error) error {
	b, err := v.Get(ctx, c)
	if err != nil {
		return err
	}
	return fn(b.RawData())
}

func (v blockView) GetSize(ctx context.Context, c cid.Cid) (int, error) {
	d, err := blocks.DigestOf(c)
	if err != nil {
		return -1, ipld.ErrNotFound{Cid: c}
	}
	n, err := v.s.Size(d)
	if err != nil {
		return -1, notFound(c, err)
	}
	return n, nil
}

// Put takes a block after checking its digest: its maker is not known here.
func (v blockView) Put(ctx context.Context, b blockformat.Block) error {
	d, err := blocks.DigestOf(b.Cid())
	if err != nil {
		return err
	}
	sealed := blocks.Sealed{Digest: d, Bytes: b.RawData()}
	if err := sealed.Verify(); err != nil {
		return err
	}
	return v.s.PutBlock(ctx, sealed)
}

func (v blockView) PutMany(ctx context.Context, bs []blockformat.Block) error {
	for _, b := range bs {
		if err := v.Put(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func (v blockView) AllKeysChan(ctx context.Context) (<-chan cid.Cid, error) {
	if err := v.s.check(ctx, "cache.AllKeysChan"); err != nil {
		return nil, err
	}
	out := make(chan cid.Cid)
	go func() {
		defer close(out)
		_ = v.s.eachRow(func(d blocks.Digest, r row) error {
			if r.form == formAbsent {
				return nil
			}
			select {
			case out <- d.CID():
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return out, nil
}
