package daemon

import (
	"slices"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/ident"
)

// coming lists the devices that know of files that are not shown here yet: before somebody has told
// everything for the first time, the one that let this device in; later those amid it.
func (d *daemon) coming() []controlapi.ComingFrom {
	from := d.names.Coming()
	if by := d.account.Self().AddedBy; !by.IsZero() && !d.heard() && !slices.Contains(from, by) {
		from = append(from, by)
	}
	out := []controlapi.ComingFrom{}
	for _, s := range d.host.Peers() {
		if slices.Contains(from, s.Device) {
			out = append(out, controlapi.ComingFrom{DeviceName: d.named(s.Device), Connected: s.Connected})
		}
	}
	return out
}

// heard reports whether some device has told this one all that it knew, once.
func (d *daemon) heard() bool {
	select {
	case <-d.replicator.Completed():
		return true
	default:
		return d.restored.heard()
	}
}

func (d *daemon) named(dev ident.DeviceID) controlapi.DeviceName {
	return controlapi.DeviceName{ID: dev.String(), Name: d.account.Name(dev)}
}
