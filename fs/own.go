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

func attrKey(id namespace.NodeID) changeKey {
	return changeKey{what: namespace.AttrChanged, node: id}
}

func keyOf(c *namespace.Change) changeKey {
	if c.What == namespace.NameChanged {
		return nameKey(c.Parent, c.Name)
	}
	return changeKey{what: c.What, node: c.Node}
}

// ownChanges remembers what this filesystem is doing or has just done itself: the kernel
// asked for it, knows it, and need not be told. All else that happens on this device (a
// conflict copy that appears, a command) must be told like a change from afar.
type ownChanges struct {
	mu      sync.Mutex
	pending map[changeKey]ownChange
}

type ownChange struct {
	active int       // operations under way
	last   time.Time // when the last one began
}

// Changes arrive within milliseconds; what is older was never told and must not hide
// another change of the same thing.
const (
	ownLife = time.Second
	ownMost = 8192
)

// expect notes what an operation is about to change. done must be called with its
// outcome: an operation that failed changes nothing.
func (o *ownChanges) expect(now time.Time, keys ...changeKey) (done func(error)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending == nil {
		o.pending = make(map[changeKey]ownChange)
	}
	if len(o.pending) > ownMost {
		for k, c := range o.pending {
			if c.active == 0 && now.Sub(c.last) > ownLife {
				delete(o.pending, k)
			}
		}
	}
	for _, k := range keys {
		o.pending[k] = ownChange{o.pending[k].active + 1, now}
	}
	return func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, k := range keys {
			c := o.pending[k]
			if c.active--; c.active <= 0 && err != nil {
				delete(o.pending, k)
			} else {
				o.pending[k] = c
			}
		}
	}
}

// take reports whether c is this filesystem's own doing. It is forgotten then, unless a
// further operation on the same thing is under way, whose change is still to come.
func (o *ownChanges) take(c *namespace.Change, now time.Time) bool {
	k := keyOf(c)
	o.mu.Lock()
	defer o.mu.Unlock()
	own, ok := o.pending[k]
	if own.active == 0 {
		delete(o.pending, k)
	}
	return ok && (own.active > 0 || now.Sub(own.last) <= ownLife)
}
