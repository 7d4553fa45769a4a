package daemon

import (
	"slices"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// twice lists the devices that are in use twice now.
func (d *daemon) twice() []controlapi.TwiceDevice {
	out := []controlapi.TwiceDevice{}
	list := d.replicator.Twice()
	for _, dev := range d.living() {
		if slices.Contains(list, dev.ID) {
			out = append(out, controlapi.TwiceDevice{DeviceName: d.named(dev.ID), Self: dev.ID == d.self()})
		}
	}
	return out
}

// twiceWarnings says that, and what to do.
func (d *daemon) twiceWarnings() (out []string) {
	const mend = " Names and sizes reach both, in turns; bytes may not. Stop one of them: shelf down. What only that one has reaches the others when it runs " +
		"while the other is off, with: shelf sync --wait. To make it a device of its own then, move its home away, and: shelf join TOKEN"
	self := false
	for _, x := range d.twice() {
		self = self || x.Self
		if x.Self {
			out = append(out, "This device is in use twice at the same time: another copy of its home runs, here or on another machine."+mend)
		} else {
			out = append(out, "The device "+x.Name+" is in use twice at the same time: two copies of its home run."+mend)
		}
	}
	if !self && d.names.Copied() {
		out = append(out, "Another copy of the home of this device was in use since this start. If it still is, stop one of the two: shelf down.")
	}
	return out
}
