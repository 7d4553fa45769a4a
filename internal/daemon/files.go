package daemon

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// askTime is how long other devices may take to tell what they have.
const askTime = time.Second

// resolve finds a path of the share.
func (p *parts) resolve(path string) (namespace.Entry, error) {
	e, err := p.names.Resolve(strings.TrimPrefix(path, "/"))
	if err != nil {
		return e, errs.E("daemon.resolve", errs.KindOf(err), path, nil)
	}
	return e, nil
}

// here reports whether a block is on this device.
func (p *parts) here(d digest) bool {
	c, err := p.cache.Class(d)
	return err == nil && c != cache.None
}

// local tells how much of a content is on this device, without asking anybody. digests are
// all its blocks, or just the root where a manifest is not here.
func (p *parts) local(ctx context.Context, c blocks.Content) (plain int64, complete bool, digests []digest) {
	if c.Size == 0 || c.Root.IsZero() { // empty, or one hole
		return int64(c.Size), true, nil
	}
	if !p.here(c.Root) {
		return 0, false, []digest{c.Root}
	}
	if c.Depth == 0 {
		return int64(c.Size), true, []digest{c.Root}
	}
	t, err := content.Load(ctx, p.cache, p.sealer, c)
	if err != nil {
		return 0, false, []digest{c.Root}
	}
	complete = true
	digests = append(digests, c.Root)
	for piece, err := range t.Range(ctx, 0, c.Size) {
		if err != nil { // a lower manifest is not here: nor is what hangs on it, as far as we can tell
			complete = false
			break
		}
		if !piece.Digest.IsZero() {
			if digests = append(digests, piece.Digest); !p.here(piece.Digest) {
				complete = false
				continue
			}
		}
		plain += int64(piece.Length)
	}
	return plain, complete, digests
}

// copies lists the devices that have bytes of a file: this one by looking, connected ones by
// asking them, the others by what they said last.
func (p *parts) copies(ctx context.Context, e namespace.Entry, plain int64, complete bool, digests []digest) []controlapi.Copy {
	self := p.account.Self()
	out := []controlapi.Copy{}
	if complete || plain > 0 {
		out = append(out, controlapi.Copy{Device: self.ID.String(), Name: self.Name, Self: true, Connected: true, Complete: complete})
	}
	kept := map[ident.DeviceID]bool{}
	for _, d := range p.placement.Keepers(e.Versions) {
		kept[d] = true
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	for _, peer := range p.host.Peers() {
		some, whole := kept[peer.Device], kept[peer.Device]
		if peer.Connected && len(digests) > 0 {
			if classes, err := p.exchange.Have(ctx, peer.Device, digests); err == nil {
				n := 0
				for _, c := range classes {
					if c != exchange.None {
						n++
					}
				}
				some = n > 0
				// A root alone proves the whole only where the root is the whole.
				whole = n == len(digests) && (whole || e.Content.Depth == 0 || len(digests) > 1)
			}
		}
		if some {
			out = append(out, controlapi.Copy{Device: peer.Device.String(), Name: p.account.Name(peer.Device), Connected: peer.Connected, Complete: whole})
		}
	}
	return out
}

var kindNames = map[namespace.Kind]string{
	namespace.File: controlapi.KindFile, namespace.Dir: controlapi.KindDir, namespace.Symlink: controlapi.KindSymlink,
	namespace.Fifo: controlapi.KindFifo, namespace.Socket: controlapi.KindSocket, namespace.CharDev: controlapi.KindChar, namespace.BlockDev: controlapi.KindBlock,
}

func placementName(p namespace.Placement) string {
	switch p {
	case namespace.Pinned:
		return controlapi.PlacePinned
	case namespace.Cloud:
		return controlapi.PlaceCloud
	}
	return controlapi.PlaceAutomatic
}

func (p *parts) placementOf(id namespace.NodeID) (name string, inherited bool) {
	eff, own, err := p.names.Placement(id, p.self())
	if err != nil {
		return controlapi.PlaceAutomatic, true
	}
	return placementName(eff), own == namespace.Inherited
}

func (p *parts) conflict(e namespace.Entry) *controlapi.Conflict {
	if e.Conflict == nil {
		return nil
	}
	c := &controlapi.Conflict{Device: p.account.Name(e.Conflict.Device), When: e.Conflict.When}
	if path, err := p.names.Path(e.Conflict.Of); err == nil && !e.Conflict.Of.IsZero() {
		c.Of = "/" + path
	}
	return c
}

// entry describes one name.
func (p *parts) entry(ctx context.Context, e namespace.Entry) controlapi.Entry {
	out := controlapi.Entry{
		Name: e.Name, Kind: kindNames[e.Kind], Mode: e.Mode, UID: shown(e.UID, os.Getuid()), GID: shown(e.GID, os.Getgid()), Nlink: e.Nlink,
		Size: int64(e.Size()), Mtime: time.Unix(0, e.Mtime), Target: e.Target, Conflict: p.conflict(e),
	}
	out.Placement, out.Inherited = p.placementOf(e.ID)
	if e.Kind == namespace.File {
		out.LocalBytes, out.Complete, _ = p.local(ctx, e.Content)
	} else {
		out.Complete = true
	}
	return out
}

// List implements control.Reporter.
func (d *daemon) List(ctx context.Context, path string, emit func(controlapi.Entry) error) error {
	e, err := d.resolve(path)
	if err != nil {
		return err
	}
	if e.Kind != namespace.Dir {
		return emit(d.entry(ctx, e))
	}
	names, err := d.children(e.ID)
	if err != nil {
		return err
	}
	for _, e := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := emit(d.entry(ctx, e)); err != nil {
			return err
		}
	}
	return nil
}

// PathStatus implements control.Reporter.
func (d *daemon) PathStatus(ctx context.Context, path string) (controlapi.PathStatus, error) {
	e, err := d.resolve(path)
	if err != nil {
		return controlapi.PathStatus{}, err
	}
	s := controlapi.PathStatus{Path: path, Kind: kindNames[e.Kind], Mtime: time.Unix(0, e.Mtime), Conflict: d.conflict(e), Complete: true}
	s.Placement, s.Inherited = d.placementOf(e.ID)
	if !e.Writer.IsZero() {
		s.Writer = d.account.Name(e.Writer)
	}
	byDevice, first := map[string]*controlapi.Copy{}, true
	for _, f := range d.placement.Files(e.ID) {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		plain, complete, ds := d.local(ctx, f.Content)
		s.Files++
		s.Size += int64(f.Content.Size)
		s.LocalBytes += plain
		s.Complete = s.Complete && complete
		if len(ds) == 0 { // an empty file is whole everywhere
			continue
		}
		merge(byDevice, first, d.copies(ctx, f, plain, complete, ds))
		first = false
	}
	if e.Kind == namespace.Symlink {
		s.Size = int64(e.Size())
	}
	s.Copies = inOrder(d.account.Devices(), byDevice)
	if !s.Complete {
		s.Why = d.whyNode(ctx, e.ID)
	}
	return s, nil
}

// merge adds one more file's copies to those of a folder: a device is complete that has all files.
func merge(all map[string]*controlapi.Copy, isFirst bool, some []controlapi.Copy) {
	seen := map[string]bool{}
	for _, c := range some {
		seen[c.Device] = true
		if old := all[c.Device]; old != nil {
			old.Complete = old.Complete && c.Complete
		} else {
			c.Complete = c.Complete && isFirst
			all[c.Device] = &c
		}
	}
	for id, c := range all {
		c.Complete = c.Complete && seen[id]
	}
}

// shown is an owner as this device shows it.
func shown(id uint32, self int) uint32 {
	if id == fs.OwnerID {
		return uint32(self)
	}
	return id
}
