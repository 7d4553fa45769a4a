package fs

import (
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/namespace"
)

// changeKey names what a local operation changes.
type changeKey struct {
	what namespace.What
	node namespace.NodeID // NameChanged: the directory
	name string
}

func nameKey(dir namespace.NodeID, name string) changeKey {
	return changeKey{what: namespace.NameChanged, node: dir, name: name}
}

func keyOf(c *namespace.Change) changeKey {
	if c.What == namespace.NameChanged {
		return nameKey(c.Parent, c.Name)
	}
	return changeKey{what: c.What, node: c.Node}
}

// ownChanges remembers what this filesystem has just done itself: the kernel asked for
// it, knows it, and need not be told. All else that happens on this device (a conflict
// copy that appears, a command) must be told like a change from afar.
type ownChanges struct {
	mu      sync.Mutex
	pending map[changeKey]time.Time
}

// Changes arrive within milliseconds; what is older was never told and must not hide
// another change of the same thing.
const (
	ownLife = 2 * time.Second
	ownMost = 8192
)

// expect notes what an operation is about to change. done must be called with its
// outcome: an operation that failed changes nothing.
func (o *ownChanges) expect(now time.Time, keys ...changeKey) (done func(error)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending == nil {
		o.pending = make(map[changeKey]time.Time)
	}
	if len(o.pending) > ownMost {
		for k, t := range o.pending {
			if now.Sub(t) > ownLife {
				delete(o.pending, k)
			}
		}
	}
	for _, k := range keys {
		o.pending[k] = now
	}
	return func(err error) {
		if err == nil {
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, k := range keys {
			delete(o.pending, k)
		}
	}
}

// take reports whether c is this filesystem's own doing, and forgets it.
func (o *ownChanges) take(c *namespace.Change, now time.Time) bool {
	k := keyOf(c)
	o.mu.Lock()
	defer o.mu.Unlock()
	t, ok := o.pending[k]
	delete(o.pending, k)
	return ok && now.Sub(t) <= ownLife
}
