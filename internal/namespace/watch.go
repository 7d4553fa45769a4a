package namespace

import (
	"context"
	"sync"

	"github.com/shelffs/shelf/internal/errs"
)

// What says what a Change is about.
type What uint8

const (
	ContentChanged   What = iota + 1 // Node shows other bytes (its size and mtime with them)
	AttrChanged                      // mode, owner, times, xattrs or link count of Node
	NameChanged                      // what Parent shows under Name, and with it Parent's times
	PlacementChanged                 // who keeps Node's bytes (a directory: all below it)
	Overflow                         // the watcher was too slow, or device names changed: anything may be different
)

// Change tells one thing that is no longer as it was. A rename is two NameChanged.
type Change struct {
	What   What
	Node   NodeID // NameChanged: what the name stands for now; zero for nothing
	Parent NodeID // NameChanged: the directory that shows the name; one change for each id of merged ones
	Name   string // NameChanged
	Old    NodeID // NameChanged: what the name stood for before; zero for nothing
	Remote bool   // came from another device
}

// changeKey joins changes of the same thing.
type changeKey struct {
	what What
	node NodeID // NameChanged: the parent
	name string
}

func (c *Change) key() changeKey {
	if c.What == NameChanged {
		return changeKey{c.What, c.Parent, c.Name}
	}
	return changeKey{what: c.What, node: c.Node}
}

// maxWaiting is how many changes wait for one watcher before they become an Overflow.
const maxWaiting = 1 << 16

// Watcher receives changes. It never slows the replica: changes of the same thing are joined
// while they wait, and when too many wait they become one Overflow. A node whose name came and
// went meanwhile, and that somebody may have found under it, has an AttrChanged of its own.
type Watcher struct {
	hub  *hub
	wake chan struct{} // holds a token while changes wait

	mu      sync.Mutex
	waiting []Change
	at      map[changeKey]int // index in waiting
	closed  bool
}

// Next waits for changes and returns all that wait, oldest first. It ends with ctx
// (Interrupted, Timeout) or Close (Closed).
func (w *Watcher) Next(ctx context.Context) ([]Change, error) {
	const op = "namespace.Watcher.Next"
	for {
		w.mu.Lock()
		out, closed := w.waiting, w.closed
		w.waiting, w.at = nil, nil
		w.mu.Unlock()
		switch {
		case len(out) > 0:
			return out, nil
		case closed:
			return nil, errs.E(op, errs.Closed, "", nil)
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return nil, errs.E(op, errs.Other, "", ctx.Err())
		}
	}
}

// Close ends the watcher; a Next that waits returns.
func (w *Watcher) Close() {
	w.hub.mu.Lock()
	delete(w.hub.watchers, w)
	w.hub.mu.Unlock()
	w.end()
}

func (w *Watcher) end() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.poke()
}

func (w *Watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Watcher) add(news []Change) {
	w.mu.Lock()
	defer w.poke()
	defer w.mu.Unlock()
	for _, c := range news {
		w.addLocked(c)
	}
}

func (w *Watcher) addLocked(c Change) {
	if c.What == Overflow || len(w.waiting) >= maxWaiting {
		w.waiting = append(w.waiting[:0:0], Change{What: Overflow, Remote: c.Remote})
		w.at = map[changeKey]int{{what: Overflow}: 0}
		return
	}
	if len(w.waiting) == 1 && w.waiting[0].What == Overflow {
		return // says it all
	}
	if w.at == nil {
		w.at = map[changeKey]int{}
	}
	k := c.key()
	i, ok := w.at[k]
	if !ok {
		w.at[k] = len(w.waiting)
		w.waiting = append(w.waiting, c)
		return
	}
	was := &w.waiting[i]
	passed := was.Node
	was.Node, was.Remote = c.Node, was.Remote || c.Remote
	if c.Remote && c.What == NameChanged && !passed.IsZero() && passed != c.Node && passed != was.Old {
		w.addLocked(Change{What: AttrChanged, Node: passed, Remote: true})
	}
}

// hub hands changes to all watchers.
type hub struct {
	mu       sync.Mutex
	watchers map[*Watcher]struct{}
	closed   bool
}

// Watch begins a subscription to changes made after the call.
func (r *Replica) Watch() *Watcher {
	h := &r.watch
	w := &Watcher{hub: h, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.closed = h.closed; !h.closed {
		if h.watchers == nil {
			h.watchers = map[*Watcher]struct{}{}
		}
		h.watchers[w] = struct{}{}
	}
	return w
}

// busy reports whether anybody watches.
func (h *hub) busy() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watchers) > 0
}

func (h *hub) publish(news []Change) {
	if len(news) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		w.add(news)
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		w.end()
	}
	h.watchers = nil
}
