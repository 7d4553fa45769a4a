package namespace

import "context"

// What says what a Change is about.
type What uint8

const (
	ContentChanged   What = iota + 1 // Node shows other bytes
	AttrChanged                      // mode, owner, times or xattrs of Node
	NameChanged                      // what Parent shows under Name: Node now, zero for nothing
	PlacementChanged                 // who keeps Node's bytes (a directory: all below it)
	Overflow                         // the watcher was too slow: anything may have changed
)

// Change tells one thing that is no longer as it was. A rename is two NameChanged.
type Change struct {
	What   What
	Node   NodeID
	Parent NodeID // NameChanged: the directory that shows the name
	Name   string // NameChanged
	Old    NodeID // NameChanged: what the name stood for before; zero for nothing
	Remote bool   // came from another device
}

// Watcher receives changes. It never slows the replica: changes of the same thing are joined
// while they wait, and when too many wait they become one Overflow.
type Watcher struct{}

// Next waits for changes and returns all that wait, oldest first. It ends with ctx
// (Interrupted) or Close (Closed).
func (w *Watcher) Next(ctx context.Context) ([]Change, error) { panic("unfinished") }

// Close ends the watcher.
func (w *Watcher) Close() {}
