package daemon

import (
	"context"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/p2p"
)

// askTime is how long other devices may take to tell what they have, and askBlocks how many
// blocks they are asked about at once: for a folder, many files in one question.
const (
	askTime   = time.Second
	askBlocks = 4096
)

// localFile is a file and what of it is on this device.
type localFile struct {
	entry    namespace.Entry
	plain    int64
	complete bool
	blocks   []digest // all, or just the root where a manifest is not here
}

func (p *parts) localFile(ctx context.Context, e namespace.Entry) localFile {
	f := localFile{entry: e}
	f.plain, f.complete, f.blocks = p.local(ctx, e.Content)
	return f
}

// resolve finds a path of the share.
func (p *parts) resolve(path string) (namespace.Entry, error) {
	e, err := p.names.Resolve(strings.TrimPrefix(p.fs.Spell(path), "/"))
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

// copies lists the devices that have bytes of a file.
func (p *parts) copies(ctx context.Context, f localFile) []controlapi.Copy {
	return p.copiesOf(ctx, []localFile{f})[0]
}

// copiesOf lists, for each of some files, the devices that have bytes of it: this one by
// looking, connected ones by asking each once about all, the others by what they said last.
func (p *parts) copiesOf(ctx context.Context, files []localFile) [][]controlapi.Copy {
	var ds []digest
	for _, f := range files {
		ds = append(ds, f.blocks...)
	}
	peers := p.host.Peers()
	classes := p.askAll(ctx, peers, ds)
	self := p.account.Self()
	out := make([][]controlapi.Copy, len(files))
	for i, f := range files {
		out[i] = []controlapi.Copy{}
		if f.complete || f.plain > 0 {
			out[i] = append(out[i], controlapi.Copy{Device: self.ID.String(), Name: self.Name, Self: true, Connected: true, Complete: f.complete})
		}
		keepers := p.placement.Keepers(f.entry.Versions)
		for k, peer := range peers {
			said := slices.Contains(keepers, peer.Device)
			some, whole := said, said
			if answer := classes[k]; len(answer) == len(ds) && len(f.blocks) > 0 {
				mine := answer[:len(f.blocks)]
				n := len(f.blocks) - countNone(mine)
				some = n > 0
				// A root alone proves the whole only where the root is the whole.
				whole = n == len(mine) && (said || f.entry.Content.Depth == 0 || len(mine) > 1)
				classes[k] = answer[len(f.blocks):]
			}
			if some {
				out[i] = append(out[i], controlapi.Copy{Device: peer.Device.String(), Name: p.account.Name(peer.Device), Connected: peer.Connected, Complete: whole})
			}
		}
		ds = ds[len(f.blocks):]
	}
	return out
}

// askAll asks all connected devices at once what they have; nil for one that does not answer in time.
func (p *parts) askAll(ctx context.Context, peers []p2p.PeerState, ds []digest) [][]exchange.Class {
	out := make([][]exchange.Class, len(peers))
	if len(ds) == 0 {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var wg sync.WaitGroup
	for i, peer := range peers {
		if peer.Connected {
			wg.Go(func() {
				if classes, err := p.exchange.Have(ctx, peer.Device, ds); err == nil {
					out[i] = classes
				}
			})
		}
	}
	wg.Wait()
	return out
}

func countNone(cs []exchange.Class) (n int) {
	for _, c := range cs {
		if c == exchange.None {
			n++
		}
	}
	return n
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
	if !e.Conflict.Of.IsZero() {
		if at, err := p.names.Path(e.Conflict.Of); err == nil {
			c.Of = "/" + at
		}
		return c
	}
	if c.Device = p.account.Name(e.Writer); e.Writer.IsZero() {
		c.Device = p.account.Name(e.Conflict.Device)
	}
	if dir, err := p.names.Path(e.Parent); err == nil {
		c.Of = path.Join("/", dir, namespace.ClaimedName(e.Name))
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
	switch e.Kind {
	case namespace.Dir:
	case namespace.File:
		out.Here = &controlapi.Here{}
		out.Heat, out.Kept = p.heatOf(e.ID)
		out.LocalBytes, out.Complete, _ = p.local(ctx, e.Content)
	default:
		out.Here = &controlapi.Here{Complete: true}
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
	path = d.fs.Spell(path)
	e, err := d.resolve(path)
	if err != nil {
		return controlapi.PathStatus{}, err
	}
	s := controlapi.PathStatus{Path: path, Kind: kindNames[e.Kind], Mtime: time.Unix(0, e.Mtime), Conflict: d.conflict(e), Complete: true}
	s.Placement, s.Inherited = d.placementOf(e.ID)
	s.Heat, s.Kept = d.heatOf(e.ID)
	if !e.Writer.IsZero() {
		s.Writer = d.account.Name(e.Writer)
	}
	byDevice, first := map[string]*controlapi.Copy{}, true
	var group []localFile
	asked := 0
	round, err := d.cache.Round()
	if err != nil {
		return s, err
	}
	verified := d.verifiedBy(round)
	flush := func() {
		for _, copies := range d.copiesOf(ctx, group) {
			merge(byDevice, first, copies)
			first = false
		}
		group, asked = nil, 0
	}
	var missing *localFile // the first file that is not all here explains
	for _, e := range d.placement.Files(e.ID) {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		f := d.localFile(ctx, e)
		s.Files++
		s.Size += int64(e.Content.Size)
		s.LocalBytes += f.plain
		s.Complete = s.Complete && f.complete
		if !f.complete && missing == nil {
			missing = &f
		}
		verified.add(f)
		if len(f.blocks) > 0 { // an empty file is whole everywhere
			group, asked = append(group, f), asked+len(f.blocks)
		}
		if asked >= askBlocks {
			flush()
		}
	}
	flush()
	if e.Kind == namespace.Symlink {
		s.Size = int64(e.Size())
	}
	s.Copies, s.Verified = inOrder(d.account.Devices(), byDevice), timeOf(verified.since)
	if missing != nil {
		s.Why, _, _ = d.explain(ctx, *missing)
	}
	return s, nil
}

// verifiedSince is the earliest time since when a block of some files has been verified.
type verifiedSince struct {
	round cache.Round
	here  func(digest) bool
	since time.Time
	any   bool
}

func (p *parts) verifiedBy(r cache.Round) *verifiedSince {
	return &verifiedSince{round: r, here: p.here}
}

func (v *verifiedSince) add(f localFile) {
	for _, d := range f.blocks {
		if !v.here(d) {
			continue
		}
		if t := v.round.Verified(d); !v.any || t.Before(v.since) {
			v.since, v.any = t, true
		}
	}
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
