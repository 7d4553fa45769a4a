package fetch

import (
	"context"
	"iter"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
)

// Group is blocks that belong together, as those of one file do. They are likely found on the same devices, so
// what one of them teaches counts for the others, and groups of the same priority take turns.
type Group struct {
	f       *Fetcher
	loose   bool    // the blocks have nothing to do with each other
	pointed bool    // somebody was said to have them all
	awaited bool    // a person waits for them
	size    float64 // smoothed size of a block, bytes; 0: none has come
	devices map[ident.DeviceID]*standing
}

// standing is what is known of a device and a group's blocks. Guarded by Fetcher.mu, as is the map.
type standing struct {
	hit    float64 // smoothed share of requests that brought the block, 0..1
	known  bool    // it is said to have them all
	missed bool    // it did not have the last one it was asked for
}

// trust is the least share of hits at which a device is still believed to have everything.
const trust = 0.25

// Group returns a new group. holders are the devices that are known to have all of its blocks: they are asked
// first. The word is not taken for more than a word: one that turns out not to have them is forgotten.
func (f *Fetcher) Group(holders ...ident.DeviceID) *Group {
	g := &Group{f: f, pointed: len(holders) > 0, devices: map[ident.DeviceID]*standing{}}
	for _, dev := range holders {
		g.devices[dev] = &standing{hit: 1, known: true}
	}
	return g
}

// Get is Fetcher.Get for a block of the group.
func (g *Group) Get(ctx context.Context, d blocks.Digest, p Priority) (blocks.Sealed, error) {
	return g.f.get(ctx, g, d, p)
}

// Want is Fetcher.Want for blocks of the group.
func (g *Group) Want(p Priority, ds ...blocks.Digest) *Wanted { return g.f.want(g, p, ds) }

// FetchAll is Fetcher.FetchAll for blocks of the group.
func (g *Group) FetchAll(ctx context.Context, p Priority, ds iter.Seq[blocks.Digest], each func(blocks.Digest, error)) error {
	return g.f.fetchAll(ctx, g, p, ds, each)
}

// hit is the likely share of requests that bring a block; usual is the device's over all groups. One of which
// nothing was said where something was said of others is less likely to have it.
func (g *Group) hit(dev ident.DeviceID, usual float64) float64 {
	if s := g.devices[dev]; s != nil {
		return s.hit
	}
	if g.pointed {
		return usual / 4
	}
	return usual
}

// mayHave reports whether nothing speaks against a device's having the group's next block.
func (g *Group) mayHave(dev ident.DeviceID) bool {
	s := g.devices[dev]
	return s == nil || s.known || !s.missed
}

// brought notes the size of a block that came.
func (g *Group) brought(n int) {
	if g.size == 0 {
		g.size = float64(n)
	}
	g.size += (float64(n) - g.size) / 16
}

func (g *Group) answered(dev ident.DeviceID, hit bool) {
	if g.loose {
		return
	}
	s := g.devices[dev]
	if s == nil {
		s = &standing{hit: 0.5}
		g.devices[dev] = s
	}
	s.hit += (share(hit) - s.hit) / 3
	s.known = s.known && s.hit >= trust
	s.missed = !hit
}
