package namespace

import (
	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
)

// Writer is this device's present incarnation: the writer of its dots.
func (r *Replica) Writer() ident.Writer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.self
}

// Contents returns every content that hangs on a file: the one shown, and those of its conflict
// copies that are no files of their own yet. It is empty for a node that is shown nowhere.
func (r *Replica) Contents(id NodeID) (out []blocks.Content, err error) {
	err = r.read(func(t *tx) error {
		if n := t.node(id); n.placed {
			gs, _ := n.parts()
			for _, g := range gs {
				out = append(out, g.Bytes.Content)
			}
			return nil
		}
		if e, ok := t.entryOf(id); ok { // a conflict copy's id
			out = append(out, e.Content)
		}
		return nil
	})
	return out, err
}
