package daemon

import (
	"context"
	"slices"
	"strings"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// mostNewer is how far records of a newer version are counted.
const mostNewer = 10_000

// Quarantine implements control.Quarantiner.
func (d *daemon) Quarantine(context.Context) (controlapi.Quarantine, error) {
	out := controlapi.Quarantine{Refused: []controlapi.RefusedItem{}, Frozen: []controlapi.Frozen{}, FrozenBy: []string{}, Newer: d.names.Newer(mostNewer)}
	refused, err := d.names.Refused()
	if err != nil {
		return out, err
	}
	for _, x := range refused {
		out.Refused = append(out.Refused, controlapi.RefusedItem{When: x.When, From: d.account.Name(x.From), Writer: d.account.Name(x.Writer.Device),
			Number: x.Seq, Why: x.Why, Size: int64(x.Size)})
	}
	for _, f := range d.names.Frozen() {
		out.Frozen = append(out.Frozen, controlapi.Frozen{ID: f.Writer.Device.String(), Name: d.account.Name(f.Writer.Device),
			Why: f.Why, Waiting: f.Upto - f.From + 1, Since: f.Since})
	}
	for _, dev := range d.names.FrozenBy() {
		out.FrozenBy = append(out.FrozenBy, d.account.Name(dev))
	}
	return out, nil
}

// Thaw implements control.Quarantiner.
func (d *daemon) Thaw(_ context.Context, req controlapi.ReleaseRequest) (controlapi.ReleaseResult, error) {
	out := controlapi.ReleaseResult{Released: []string{}}
	var list []ident.DeviceID
	for _, f := range d.names.Frozen() {
		list = append(list, f.Writer.Device)
	}
	if len(d.names.FrozenBy()) > 0 {
		list = append(list, d.self())
	}
	for _, dev := range list {
		if req.Device != "" && req.Device != d.account.Name(dev) && !strings.HasPrefix(dev.String(), req.Device) {
			continue
		}
		if err := d.names.Thaw(dev); err != nil {
			return out, err
		}
		d.lookRestored(true) // what a person has asked for is not told as news
		out.Released = append(out.Released, d.account.Name(dev))
	}
	if len(out.Released) == 0 {
		what := "no device is frozen"
		if req.Device != "" {
			what = req.Device + " is not frozen"
		}
		return out, controlapi.E(controlapi.SlugOf(errs.NotExist), "see: shelf quarantine", "%s", what)
	}
	d.replicator.Renew()
	return out, nil
}

// frozen reports whether nothing further of a device is taken: by this one, or of this one by
// another.
func (d *daemon) frozen() func(ident.DeviceID) bool {
	list, by := d.names.Frozen(), d.names.FrozenBy()
	return func(dev ident.DeviceID) bool {
		if dev == d.self() {
			return len(by) > 0
		}
		return slices.ContainsFunc(list, func(f namespace.Freeze) bool { return f.Writer.Device == dev })
	}
}

// quarantineWarnings says what was refused, and what to do.
func (d *daemon) quarantineWarnings() (out []string) {
	for _, f := range d.names.Frozen() {
		name := d.account.Name(f.Writer.Device)
		out = append(out, name+" signs invalid records ("+f.Why+"): what it writes is not taken here any more, all else goes on. "+
			"Update Shelf on "+name+", then run there: shelf quarantine release")
	}
	if by := d.names.FrozenBy(); len(by) > 0 {
		out = append(out, count(len(by), "other device takes", "other devices take")+" nothing that is written here any more, because this device signed invalid records. "+
			"Update Shelf here, then: shelf quarantine release")
	}
	if n := d.names.Newer(mostNewer); n > 0 {
		more := ""
		if n == mostNewer {
			more = "or more "
		}
		out = append(out, count(n, "record is", more+"records are")+" of a newer version of Shelf: kept and passed on, and not shown before Shelf is updated here.")
	}
	if n, last := d.names.Quarantined(); n > 0 {
		out = append(out, count(n, "record from another device was refused", "records from other devices were refused")+": "+controlapi.Describe(last)+". See: shelf quarantine")
	}
	return out
}
