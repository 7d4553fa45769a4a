package namespace

import (
	"crypto/sha256"
	"sync"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// quarantine counts what was refused and keeps a part of it for who wants to look into it.
type quarantine struct {
	mu   sync.Mutex
	n    int
	last error
}

const (
	maxKept      = 256     // refused items kept and logged per run
	maxKeptBytes = 4 << 10 // bytes kept of each
)

// refuse notes something refused from a peer. It never fails: the row is only for diagnosis.
func (r *Replica) refuse(from ident.DeviceID, it badItem) {
	q := &r.bad
	q.mu.Lock()
	q.n++
	n := q.n
	q.last = it.err
	q.mu.Unlock()
	if n > maxKept {
		return
	}
	r.log.Warn("namespace: refused what a device sent", "from", from.Short(), "writer", it.writer.Device.Short(), "err", it.err)
	sum := sha256.Sum256(it.bytes)
	row := appendString([]byte{rowVersion}, it.err.Error())
	row = append(row, from[:]...)
	row = append(row, it.bytes[:min(len(it.bytes), maxKeptBytes)]...)
	b := r.cfg.DB.Batch()
	_ = b.Set(r.cfg.DB.Key(tableBad, kv.Plain(sum[:16])), row)
	_ = b.Commit(kv.NoSync)
}

// Quarantined returns how many records and batches were refused since Open, and why the
// last one was.
func (r *Replica) Quarantined() (n int, last error) {
	r.bad.mu.Lock()
	defer r.bad.mu.Unlock()
	return r.bad.n, r.bad.last
}
