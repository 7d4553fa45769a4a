package placement

import (
	"context"

	"github.com/shelffs/shelf/internal/namespace"
)

// Whole reports whether a pinned file is here whole, in all its versions, and kept.
func (e *Engine) Whole(n namespace.NodeID) bool {
	contents, err := e.contents(n)
	return err == nil && (len(contents) == 0 || e.pins.done(job{n, ForPin}, contents))
}

// Bring tries at once what a pin still lacks of a file, and waits for the outcome. Errors as of Pin.
func (e *Engine) Bring(ctx context.Context, f namespace.Entry, progress func(Progress)) error {
	t, stop := e.pins.watchFiles([]namespace.Entry{f})
	defer stop()
	e.pins.add(job{f.ID, ForPin})
	return e.pins.wait(ctx, []namespace.Entry{f}, t, progress)
}
