package sim

import (
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/ident"
)

// Who is a member is known to each device by itself. It travels ahead of the records of a session, and
// ahead of what the receiver acknowledges.

// roster is whom a device knows: a member, or (false) one no more.
type roster map[ident.DeviceID]bool

// members of the share, as far as d knows, in some order that is always the same.
func (d *device) members() (out []ident.DeviceID) {
	for id, in := range d.roster {
		if in {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b ident.DeviceID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// learn takes over whom another device knows.
func (d *device) learn(others roster) {
	for id, in := range others {
		if was, known := d.roster[id]; !known || was {
			d.roster[id] = in
		}
	}
}

// acquainted devices take each other for members; others do not talk.
func acquainted(a, b *device) bool { return a.roster[b.id] && b.roster[a.id] }

// invite makes d a member, on the word of another one.
func (d *device) invite(by *device) {
	by.roster[d.id] = true
	d.roster = maps.Clone(by.roster)
}

// introduce tells everybody of all members.
func (w *world) introduce() {
	for _, a := range w.devices {
		for _, b := range w.devices {
			a.learn(b.roster)
		}
	}
}
