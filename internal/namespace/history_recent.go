package namespace

import (
	"maps"
	"time"
)

// recent is what other devices' changes have made show here in the last moment. Of that, a state that
// they end at once may leave no row: nobody has had the time to see it. What has shown here longer leaves
// one, however short it was for its writer. It needs Replica.writing.
type recent struct {
	shown   map[NodeID]time.Time
	cleared time.Time // of what is no longer recent
}

// maxRecent bounds it; of what is not in it nothing is left out of history.
const maxRecent = 1 << 12

func (r *recent) note(id NodeID, now time.Time) {
	if len(r.shown) >= maxRecent && now.Sub(r.cleared).Abs() >= fleeting {
		r.cleared = now
		maps.DeleteFunc(r.shown, func(_ NodeID, at time.Time) bool { return now.Sub(at).Abs() >= fleeting })
	}
	if len(r.shown) >= maxRecent {
		return
	}
	if r.shown == nil {
		r.shown = map[NodeID]time.Time{}
	}
	r.shown[id] = now
}

// has reports whether a node has come to show what it shows just now.
func (r *recent) has(id NodeID, now time.Time) bool {
	at, ok := r.shown[id]
	return ok && now.Sub(at) < fleeting && !now.Before(at)
}
