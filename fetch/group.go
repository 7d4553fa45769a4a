package fetch

import (
	"context"
	"iter"
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
)

// Group is blocks that belong together, as those of one file do. They are likely found on the same devices, so
// what one of them teaches counts for the others, and groups of the same priority take turns.
type Group struct {
	f       *Fetcher
	loose   bool                    // the blocks have nothing to do with each other
	holders func() []ident.DeviceID // who is said to have them all by now; nil: that does not change
	pointed bool                    // somebody is said to have them all
	awaited bool                    // a person waits for them
	size    float64                 // smoothed size of a block, bytes; 0: none has come
	devices map[ident.DeviceID]*standing
}

// standing is what is known of a device and a group's blocks. Guarded by Fetcher.mu, as is the map.
type standing struct {
	hit    float64 // smoothed share of requests that brought the block, 0..1
	said   bool    // it is said to have them all
	known  bool    // … and that is believed
	missed bool    // it did not have the last one it was asked for
}

// trust is the least share of hits at which a device is still believed to have everything.
const trust = 0.25

// Group returns a new group. holders are the devices that are known to have all of its blocks: they are asked
// first. The word is not taken for more than a word: one that turns out not to have them is forgotten.
func (f *Fetcher) Group(holders ...ident.DeviceID) *Group {
	g := &Group{f: f, devices: map[ident.DeviceID]*standing{}}
	g.point(holders)
	return g
}

// Following is Group for holders that change: they are looked up again whenever a block has to come from a
// device. holders is called without locks, often, and answers from memory.
func (f *Fetcher) Following(holders func() []ident.DeviceID) *Group {
	g := f.Group()
	g.holders = holders
	return g
}

// follow looks who is said to have the blocks now.
func (g *Group) follow() {
	if g.holders == nil {
		return
	}
	now := g.holders()
	g.f.mu.Lock()
	defer g.f.mu.Unlock()
	g.point(now)
}

// point takes in who is said to have all blocks. Of one that turned out not to, the word counts again only when
// it was taken back meanwhile. Fetcher.mu is held, or g is new.
func (g *Group) point(holders []ident.DeviceID) {
	g.pointed = len(holders) > 0
	for dev, s := range g.devices {
		if s.said && !slices.Contains(holders, dev) {
			s.said, s.known = false, false
		}
	}
	for _, dev := range holders {
		s := g.devices[dev]
		if s == nil {
			s = &standing{}
			g.devices[dev] = s
		}
		if !s.said {
			*s = standing{hit: 1, said: true, known: true}
		}
	}
}

// Get is Fetcher.Get for a block of the group.
func (g *Group) Get(ctx context.Context, d blocks.Digest, p Priority) (blocks.Sealed, error) {
	return g.f.get(ctx, g, d, p, blocks.Stretch{})
}

// GetManifest is Get for a manifest of which the reader needs next: that may come with it. Then it is not here
// yet for Find, but need not be waited for.
func (g *Group) GetManifest(ctx context.Context, d blocks.Digest, p Priority, next blocks.Stretch) (blocks.Sealed, error) {
	return g.f.get(ctx, g, d, p, next)
}

// Want is Fetcher.Want for blocks of the group.
func (g *Group) Want(p Priority, ds ...blocks.Digest) *Wanted { return g.f.want(g, p, ds) }

// Ahead is Fetcher.Ahead for blocks of the group.
func (g *Group) Ahead(ds ...blocks.Digest) (cancel func()) { return g.Want(ReadAhead, ds...).Cancel }

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

// heard reports whether a device is said to have the blocks, or brought some.
func (g *Group) heard(dev ident.DeviceID) bool {
	s := g.devices[dev]
	return s != nil && (s.known || s.hit >= trust)
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
