package daemon

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/share"
)

// Status implements control.Reporter.
func (d *daemon) Status(ctx context.Context) (controlapi.Status, error) {
	self := d.account.Self()
	cs, totals, moved := d.cache.Stats(), d.names.Stat(), d.exchange.Totals()
	confirmed, _ := d.confirmed()
	lost := d.lostFiles()
	return controlapi.Status{
		Daemon:  controlapi.DaemonInfo{PID: os.Getpid(), Version: d.start.Version, Started: d.began},
		Account: controlapi.Account{ID: d.account.AccountID().String(), Devices: len(d.living()), RecoveryConfirmed: confirmed != nil || !self.AddedBy.IsZero()}, // who joined was never shown the phrase,
		Device:  controlapi.DeviceName{ID: self.ID.String(), Name: self.Name},
		Mount:   d.mounts.where(),
		Cache:   controlapi.Cache{Limit: cs.Limit, Quota: d.pinQuota(), Used: cs.Used, Pinned: cs.Pinned, Staged: cs.Staged, Fetched: cs.Fetched, History: cs.Past},
		Heat:    d.heatStatus(),
		Scrub:   d.scrubbed(),
		Peers:   d.peers(), Files: int64(totals.Files), Bytes: int64(totals.Bytes), Pending: d.pending(), Conflicts: int64(d.conflicts.Count(ctx)),
		Transferred: controlapi.Transferred{BlocksIn: int64(moved.BlocksIn), BytesIn: int64(moved.BytesIn),
			BlocksOut: int64(moved.BlocksOut), BytesOut: int64(moved.BytesOut)},
		Background: d.backgroundNow(ctx),
		Coming:     d.coming(),
		Restored:   d.restoredDevices(),
		Twice:      d.twice(),
		Lost:       lost,
		Warnings:   d.warningsNow(lost),
	}, nil
}

// pinQuota is how many bytes pins may take.
func (d *daemon) pinQuota() int64 {
	if d.start.PinQuota > 0 {
		return d.start.PinQuota
	}
	return d.start.CacheSize
}

// scrubbed tells how far the blocks here are verified.
func (d *daemon) scrubbed() controlapi.Scrub {
	damaged, repaired := d.corrupt.repairs(d.here)
	s := controlapi.Scrub{Damaged: int64(damaged), Repaired: int64(repaired)}
	if r, err := d.cache.Round(); err == nil {
		s.Begun, s.Done, s.Verified = timeOf(r.Begun), r.Share(), timeOf(r.Before)
		if r.Done() {
			s.Verified = s.Begun
		}
	}
	return s
}

// timeOf is null for the zero time.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// living are the devices of the account that have not been revoked.
func (d *daemon) living() []share.Device {
	return slices.DeleteFunc(d.account.Devices(), func(dev share.Device) bool { return dev.Revoked })
}

func (d *daemon) peers() []controlapi.Peer {
	out := []controlapi.Peer{}
	for _, s := range d.host.Peers() {
		p := controlapi.Peer{ID: s.Device.String(), Name: d.account.Name(s.Device), Connected: s.Connected, Path: s.Path}
		if s.RTT > 0 {
			p.RTT = new(float64(s.RTT) / float64(time.Millisecond))
		}
		if s.LastSeen.IsZero() {
			p.LastSeen = d.lastSeen(s.Device)
		} else {
			p.LastSeen = &s.LastSeen
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b controlapi.Peer) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}

// pending counts what only this device has, as far as others have told.
func (d *daemon) pending() controlapi.Pending {
	cs := d.cache.Stats()
	files, unsaved := d.fs.Unsaved() // not even a record names these yet
	return controlapi.Pending{Records: int64(d.unacknowledged()) + int64(files), Blocks: cs.StagedBlocks, Bytes: cs.Staged + unsaved}
}

// unacknowledged counts our records that no other device has durably.
func (d *daemon) unacknowledged() uint64 {
	var best uint64
	for dev, c := range d.names.Acks() {
		if d.account.Member(dev) {
			best = max(best, c.Upto(d.names.Writer()))
		}
	}
	return d.names.Written() - min(best, d.names.Written())
}

// have lists the other devices that durably have all of our records.
func (d *daemon) have() (out []ident.DeviceID) {
	for dev, c := range d.names.Acks() {
		if d.account.Member(dev) && c.Upto(d.names.Writer()) >= d.names.Written() {
			out = append(out, dev)
		}
	}
	return out
}

// leastSkew is the smallest difference of clocks worth telling, much more than a way takes.
const leastSkew = 2 * time.Second

// Devices implements control.Reporter.
func (d *daemon) Devices(context.Context) ([]controlapi.Device, error) {
	peers := map[string]controlapi.Peer{}
	for _, p := range d.peers() {
		peers[p.ID] = p
	}
	out, frozen, now := []controlapi.Device{}, d.frozen(), time.Now()
	twice := d.replicator.Twice()
	for _, dev := range d.living() {
		id := dev.ID.String()
		c := controlapi.Device{Peer: peers[id], Self: dev.ID == d.self(), Admitted: dev.Added, Frozen: frozen(dev.ID), Restored: d.restored.noticed(dev.ID, now), Twice: slices.Contains(twice, dev.ID)}
		c.ID, c.Name = id, dev.Name
		if skew, ok := d.names.Skew(dev.ID); ok && skew.Abs() >= leastSkew {
			c.ClockSkew = new(skew.Milliseconds())
		}
		if c.Self {
			c.Connected, c.LastSeen = true, &now
		}
		out = append(out, c)
	}
	return out, nil
}

// inOrder sorts copies as the account lists its devices, this one included.
func inOrder(devices []share.Device, copies map[string]*controlapi.Copy) []controlapi.Copy {
	out := []controlapi.Copy{}
	for _, dev := range devices {
		if c := copies[dev.ID.String()]; c != nil {
			out = append(out, *c)
		}
	}
	return out
}

func (d *daemon) warningsNow(lost []controlapi.LostFile) []string {
	out := d.lostWarnings(lost)
	d.mu.Lock()
	out = append(out, d.warnings...)
	d.mu.Unlock()
	d.corrupt.mu.Lock()
	here, lies := d.corrupt.here-d.corrupt.staged, len(d.corrupt.lies) // the staged ones are told by the names of their files
	d.corrupt.mu.Unlock()
	switch {
	case here > 0 && d.alone():
		out = append(out, count(here, "block of older versions of files was damaged on this device and dropped.", "blocks of older versions of files were damaged on this device and dropped."))
	case here > 0:
		out = append(out, count(here, "block in the cache of this device was damaged and dropped; it is fetched again, at once where it is pinned", "blocks in the cache of this device were damaged and dropped; they are fetched again, at once where they are pinned"))
	}
	if lies > 0 {
		out = append(out, count(lies, "device has sent damaged blocks; they were refused", "devices have sent damaged blocks; they were refused"))
	}
	if d.meta.Metrics().Full || d.cache.Full() {
		out = append(out, "The disk is full: what programs write is not saved until there is room.")
	}
	out = append(out, d.quarantineWarnings()...)
	out = append(out, d.sweepWarnings()...)
	out = append(out, d.brakeWarnings()...)
	for _, dev := range d.living() {
		if skew, ok := d.names.Skew(dev.ID); ok && skew.Abs() >= time.Minute {
			out = append(out, "The clocks of this device and of "+dev.Name+" differ by "+config.FormatSpan(skew.Abs())+": where both change a file at a time, the wrong one may win its name.")
		}
	}
	out = append(out, restoredWarnings(d.restoredDevices())...)
	out = append(out, d.twiceWarnings()...)
	for _, dev := range d.names.Differing() {
		out = append(out, "The namespace here and on "+d.account.Name(dev)+" differ although both are up to date: one of the stores may be damaged.")
	}
	if out == nil {
		out = []string{}
	}
	return out
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// children lists a folder in order of names.
func (p *parts) children(dir namespace.NodeID) ([]namespace.Entry, error) {
	var out []namespace.Entry
	for after := uint64(0); ; {
		es, err := p.names.List(dir, after, 1024)
		if err != nil {
			return nil, err
		}
		if len(es) == 0 {
			break
		}
		for _, e := range es {
			out = append(out, e.Entry)
		}
		after = es[len(es)-1].Cookie
	}
	slices.SortFunc(out, func(a, b namespace.Entry) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}
