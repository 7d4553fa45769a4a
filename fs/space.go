package fs

import (
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// spaceCheck answers whether the disk has room, asking it now and then only.
type spaceCheck struct {
	statfs func() Usage

	mu    sync.Mutex
	asked time.Time
	avail int64 // -1: unknown
}

const spaceFresh = 200 * time.Millisecond

// check returns NoSpace when the disk has no room for n bytes.
func (c *spaceCheck) check(n int64) error {
	if avail := c.room(); avail >= 0 && n > avail {
		return errs.E("fs.Write", errs.NoSpace, "", nil)
	}
	return nil
}

// room is how many bytes can be written; -1: unknown.
func (c *spaceCheck) room() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.asked) > spaceFresh {
		u := c.statfs()
		c.asked, c.avail = now, -1
		if u.Total > 0 {
			c.avail = int64(min(u.Avail, 1<<62))
		}
	}
	return c.avail
}
