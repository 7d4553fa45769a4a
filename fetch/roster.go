package fetch

import (
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/ident"
)

// Device is what a Roster is told about one device.
type Device struct {
	ID        ident.DeviceID
	Connected bool
	Path      Path
	RTT       time.Duration // 0: not measured
	LastSeen  time.Time
}

// Roster is a Locator that is told.
type Roster struct {
	source func(ident.DeviceID) Source

	mu      sync.Mutex
	all     []Candidate // replaced, never changed
	changed chan struct{}
}

// NewRoster returns an empty roster; source makes the Source of a device.
func NewRoster(source func(ident.DeviceID) Source) *Roster {
	return &Roster{source: source, changed: make(chan struct{})}
}

// Set replaces what is known. Those who wait for a change are woken only when a device came or went.
func (r *Roster) Set(devices []Device) {
	all := make([]Candidate, len(devices))
	for i, d := range devices {
		all[i] = Candidate{Source: r.source(d.ID), Connected: d.Connected, Path: d.Path, RTT: d.RTT, LastSeen: d.LastSeen}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was := map[ident.DeviceID]bool{}
	for _, c := range r.all {
		was[c.Source.Device()] = c.Connected
	}
	differs := len(r.all) != len(all)
	for _, c := range all {
		differs = differs || was[c.Source.Device()] != c.Connected
	}
	r.all = all
	if differs {
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

// Devices returns all devices.
func (r *Roster) Devices() []Candidate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

// Changed is closed when a device comes or goes next.
func (r *Roster) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}
