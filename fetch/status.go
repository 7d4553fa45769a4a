package fetch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// Status is how it stands with a block that is on its way.
type Status struct {
	Priority Priority
	Since    time.Time
	Bytes    uint64           // arrived so far, of all attempts
	Asking   []ident.DeviceID // under way now
	Missing  []ident.DeviceID // those that answered that they do not have it
	Failed   []ident.DeviceID // those that sent something wrong, broke off or fell silent
	Waiting  bool             // nobody can be asked now; a device may come back
}

// Status tells about a block on its way, or a part of it; false when nobody waits for it.
func (f *Fetcher) Status(d blocks.Digest) (Status, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl := f.flights[d]
	for part := range f.parts {
		if fl == nil && part.digest == d {
			fl = part
		}
	}
	if fl == nil {
		return Status{}, false
	}
	_, parked := f.parked[fl]
	s := Status{Priority: fl.prio, Since: fl.begun, Bytes: fl.past, Waiting: parked}
	for _, a := range fl.attempts {
		s.Asking = append(s.Asking, a.dev)
		s.Bytes += a.progress.Load()
	}
	for dev, t := range fl.tried {
		switch {
		case slices.Contains(s.Asking, dev):
		case t.kind == errs.NotExist:
			s.Missing = append(s.Missing, dev)
		default:
			s.Failed = append(s.Failed, dev)
		}
	}
	return s, true
}

// Why says in a sentence what a block is waiting for; "" when nobody waits for it.
func (f *Fetcher) Why(d blocks.Digest) string {
	s, ok := f.Status(d)
	if !ok {
		return ""
	}
	var parts []string
	add := func(what string, devs []ident.DeviceID) {
		if len(devs) > 0 {
			names := make([]string, len(devs))
			for i, dev := range devs {
				names[i] = f.cfg.Name(dev)
			}
			slices.Sort(names)
			parts = append(parts, what+" "+strings.Join(names, ", "))
		}
	}
	switch {
	case len(s.Asking) > 0:
		add("asking", s.Asking)
		parts = append(parts, fmt.Sprintf("%d bytes so far", s.Bytes))
	case s.Waiting:
		parts = append(parts, "waiting for a device that has it to come back")
	default:
		parts = append(parts, "queued ("+s.Priority.String()+")")
	}
	add("not on", s.Missing)
	add("failed on", s.Failed)
	return fmt.Sprintf("%s, for %s", strings.Join(parts, "; "), time.Since(s.Since).Round(100*time.Millisecond))
}
