package share

import (
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// Release tells all devices to let the changes of a writer pass, up to a sequence number, that
// they hold back because they are so many. Forbidden if this device is revoked.
func (a *Account) Release(w ident.Writer, seq uint64) error {
	if seq == 0 {
		return errs.E("share.Release", errs.Invalid, "", nil)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Released(w) >= seq {
		return nil
	}
	return a.say(nil, statement{accountLog, kindRelease, &release{Writer: w.Append(nil), Seq: seq}})
}

// Released is the sequence number up to which a writer's changes were released, 0 for none.
func (a *Account) Released(w ident.Writer) uint64 { return a.now.Load().released[w] }
