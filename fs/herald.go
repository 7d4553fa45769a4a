package fs

import "github.com/shelffs/shelf/internal/namespace"

// Event is what changed without the kernel's doing, as a program that watches hears of it.
type Event struct {
	What EventKind
	Dir  Ino            // the folder, 0 if the kernel does not know it: then nobody watches it
	Name string         // in it
	Ino  Ino            // of what is or was there, 0 if the kernel does not know it
	Kind namespace.Kind // of it; of what vanished only whether it was a folder
}

// EventKind says what happened to a name.
type EventKind int

const (
	Appeared EventKind = iota
	Vanished
	Written    // it has other bytes
	Attributed // … or another mode, owner or time
)

// Herald is an Invalidator that can have the kernel tell programs that watch what another device
// changed. Calls come one after the other, from a goroutine of FS, with no lock held.
type Herald interface {
	// Watching reports whether some program may watch anything.
	Watching() bool
	Herald(Event)
}

// heraldLane is the lane of all events, which is no inode's: they come in the order of the changes.
const heraldLane = Ino(0)

// announce has the programs that watch hear of a change.
func (fs *FS) announce(c *namespace.Change) {
	inv := fs.inval.Load()
	if inv == nil {
		return
	}
	h, ok := (*inv).(Herald)
	if !ok {
		return
	}
	change := *c
	fs.lanes.put(heraldLane, fs.wg.Go, func() {
		if fs.ctx.Err() == nil && h.Watching() {
			if e, ok := fs.event(&change); ok {
				h.Herald(e)
			}
		}
	})
}

// event is what to say of a change; false: nobody can watch that.
func (fs *FS) event(c *namespace.Change) (e Event, ok bool) {
	dir, id := c.Parent, c.Node
	e.Name = c.Name
	switch c.What {
	case namespace.NameChanged:
		if id == c.Old {
			return e, false
		}
		if id.IsZero() {
			e.What, id = Vanished, c.Old
		}
	case namespace.ContentChanged:
		e.What = Written
	case namespace.AttrChanged:
		e.What = Attributed
	default:
		return e, false
	}
	if e.What == Vanished {
		if e.Kind = namespace.File; id.IsDir() {
			e.Kind = namespace.Dir
		}
	} else {
		now, err := fs.cfg.Names.Get(id)
		if err != nil {
			return e, false // gone again
		}
		if e.Kind = now.Kind; e.What != Appeared {
			dir, e.Name = now.Parent, now.Name
		}
	}
	e.Ino, _ = fs.table.isKnown(id)
	e.Dir, _ = fs.table.isKnown(dir)
	return e, e.Dir != 0 || e.Ino != 0
}

// Path is where an inode lies, from the root on, without a leading slash; "" is the root. Stale.
func (fs *FS) Path(i Ino) (string, error) {
	n, err := fs.table.get(i)
	if err != nil {
		return "", err
	}
	path := ""
	for id := n.id; id != namespace.Root; {
		e, err := fs.cfg.Names.Get(id)
		if err != nil {
			return "", err
		}
		if path != "" {
			path = "/" + path
		}
		path, id = e.Name+path, e.Parent
	}
	return path, nil
}
