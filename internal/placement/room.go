package placement

import (
	"context"
	"fmt"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// NoRoom is the cause of a NoSpace of Pin: which of the two bounds of what is kept here is the
// narrower one, in bytes. A NoSpace without it is the disk's too, found on writing.
type NoRoom struct {
	Need  int64 // 0: some, not known how much
	Limit int64 // what the cache's limit leaves
	Disk  int64 // what the disk leaves
}

// ByDisk reports whether the disk is the narrower bound, so that a higher limit would not help.
func (r *NoRoom) ByDisk() bool { return r.Disk < r.Limit }

func (r *NoRoom) Error() string {
	if r.ByDisk() {
		return fmt.Sprintf("the disk has room for %d bytes of %d", r.Disk, r.Need)
	}
	return fmt.Sprintf("the cache's limit has room for %d bytes of %d", r.Limit, r.Need)
}

// noRoom makes the error of what does not fit.
func (e *Engine) noRoom(op string, need int64) error {
	return errs.E(op, errs.NoSpace, "", e.left(need))
}

// left is how much could be kept here besides what is.
func (e *Engine) left(need int64) *NoRoom {
	s := e.cfg.Store.Stats()
	return &NoRoom{Need: need, Limit: max(0, s.Limit-s.Pinned-s.Staged), Disk: e.cfg.Store.DiskRoom(cache.Pinned)}
}

// room checks limit and disk before anything is promised.
func (e *Engine) room(ctx context.Context, files []namespace.Entry) error {
	var need int64
	var open []namespace.Entry
	for _, f := range files {
		contents, err := e.contents(f.ID)
		if err != nil {
			return err
		}
		if !e.pins.done(job{f.ID, ForPin}, contents) && !e.pins.done(job{f.ID, ForSafety}, contents) {
			need += int64(f.Content.Size)
			open = append(open, f)
		}
	}
	left := e.left(need)
	if need <= min(left.Limit, left.Disk) {
		return nil
	}
	need = 0 // only now it pays to look at each block: those that are kept here take no further room
	for _, f := range open {
		need += max(0, int64(f.Content.Size)-e.keptBytes(ctx, f))
	}
	if need > min(left.Limit, left.Disk) {
		return e.noRoom("placement.Pin", need)
	}
	return nil
}

// keptBytes is how much of a file is here and kept for some reason.
func (e *Engine) keptBytes(ctx context.Context, f namespace.Entry) (n int64) {
	for _, d := range e.localBlocks(ctx, f.Content) {
		if kept(e.class(d)) {
			n += e.size(d)
		}
	}
	return n
}
