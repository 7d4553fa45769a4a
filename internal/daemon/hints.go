package daemon

import (
	"context"
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// hints makes readers ask those first who said that they keep a file.
type hints struct {
	fetcher *fetch.Fetcher
	keepers func(versions []namespace.Dot) []ident.DeviceID
}

// file is fs.Blocks for one file.
type file struct {
	*fetch.Fetcher
	at
}

func (f file) GetBlock(ctx context.Context, d digest) (blocks.Sealed, error) {
	return f.at.GetBlock(ctx, d)
}

// GetManifest implements blocks.Walker.
func (f file) GetManifest(ctx context.Context, d digest, next blocks.Stretch) (blocks.Sealed, error) {
	return f.g.GetManifest(ctx, d, f.p, next)
}

// GetPart implements fs.Parts.
func (f file) GetPart(ctx context.Context, d digest, s blocks.Span, open func(sent []byte) ([]byte, error)) ([]byte, error) {
	return f.g.GetPart(ctx, fetch.Part{Digest: d, Span: s, Open: open}, f.p)
}

// Rest implements fs.Parts.
func (f file) Rest(d digest) (cancel func()) { return f.g.Rest(d) }

func (f file) Ahead(ds ...digest) (cancel func()) { return f.g.Ahead(ds...) }

// Of implements fs.Hints.
func (h hints) Of(versions []namespace.Dot) fs.Blocks {
	g := h.fetcher.Following(func() []ident.DeviceID { return h.keepers(versions) })
	return file{h.fetcher, at{g, fetch.OnDemand}}
}

// Ahead implements fs.Hints. Files with the same keepers are one group: if these lack one of them, or nobody is
// known to keep them, it is learnt once.
func (h hints) Ahead(ws ...fs.Wish) (cancel func()) {
	kept := map[string][]digest{}
	for _, w := range ws {
		var key []byte
		for _, dev := range h.keepers(w.Versions) {
			key = append(key, dev[:]...)
		}
		kept[string(key)] = append(kept[string(key)], w.Block)
	}
	var all []func()
	for key, ds := range kept {
		var devs []ident.DeviceID
		for dev := range slices.Chunk([]byte(key), len(ident.DeviceID{})) {
			devs = append(devs, ident.DeviceID(dev))
		}
		all = append(all, h.fetcher.Group(devs...).Ahead(ds...))
	}
	return func() {
		for _, cancel := range all {
			cancel()
		}
	}
}
