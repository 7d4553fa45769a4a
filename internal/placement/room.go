package placement

import (
	"context"
	"fmt"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// NoRoom is the cause of a NoSpace of Pin: which of the bounds of what is kept here is the
// narrowest one, in bytes. A NoSpace without it is the disk's too, found on writing.
type NoRoom struct {
	Need  int64 // 0: some, not known how much
	Limit int64 // what the cache's limit leaves
	Quota int64 // what the quota of pins leaves; not met where it is not the narrowest
	Disk  int64 // what the disk leaves
}

// ByDisk reports whether the disk is the narrowest bound, so that neither a higher limit nor a
// higher quota would help.
func (r *NoRoom) ByDisk() bool { return r.Disk < min(r.Limit, r.Quota) }

// ByQuota reports whether the quota of pins is the narrowest bound.
func (r *NoRoom) ByQuota() bool { return !r.ByDisk() && r.Quota < r.Limit }

// Left is what the narrowest bound leaves.
func (r *NoRoom) Left() int64 { return min(r.Limit, r.Quota, r.Disk) }

func (r *NoRoom) Error() string {
	what := "the cache's limit"
	switch {
	case r.ByDisk():
		what = "the disk"
	case r.ByQuota():
		what = "the quota of pins"
	}
	return fmt.Sprintf("%s has room for %d bytes of %d", what, r.Left(), r.Need)
}

// noRoom makes the error of what does not fit.
func (e *Engine) noRoom(op string, why Urgency, need int64) error {
	return errs.E(op, errs.NoSpace, "", e.left(why, need))
}

// left is how much could be kept here besides what is. The quota counts all that is kept, and
// binds pins only: what another device asks us to hold may be the last copy.
func (e *Engine) left(why Urgency, need int64) *NoRoom {
	s := e.cfg.Store.Stats()
	r := &NoRoom{Need: need, Limit: max(0, s.Limit-s.Pinned-s.Staged), Disk: e.cfg.Store.DiskRoom(cache.Pinned)}
	r.Quota = r.Limit
	if why == ForPin && e.cfg.Quota > 0 {
		r.Quota = max(0, e.cfg.Quota-s.Pinned)
	}
	return r
}

// room checks limit, quota and disk before anything is promised.
func (e *Engine) room(ctx context.Context, why Urgency, files []namespace.Entry) error {
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
	left := e.left(why, need)
	if need <= left.Left() {
		return nil
	}
	need = 0 // only now it pays to look at each block: those that are kept here take no further room
	for _, f := range open {
		need += max(0, int64(f.Content.Size)-e.keptBytes(ctx, f))
	}
	if need > left.Left() {
		return e.noRoom("placement.Pin", why, need)
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
