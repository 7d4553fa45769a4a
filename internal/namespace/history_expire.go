package namespace

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// expireStep is how many rows go in one batch.
const expireStep = 512

// stateExpired is the row that says as of when ExpireHistory last dropped states.
const stateExpired = 22

// expireStride is how far that may come in one go: a clock that was years ahead for an hour must not
// cost all history.
const expireStride = 24 * time.Hour

// expireAsOf is the time that counts now, and notes it.
func (r *Replica) expireAsOf() (time.Time, error) {
	now := r.cfg.Clock()
	row, err := get(r.cfg.DB, r.keys.state(stateExpired))
	if err != nil {
		return now, err
	}
	if len(row) == 8 {
		if most := time.Unix(0, int64(binary.BigEndian.Uint64(row))).Add(expireStride); now.After(most) {
			now = most
		}
	}
	b := r.cfg.DB.Batch()
	defer b.Close()
	_ = b.Set(r.keys.state(stateExpired), binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano())))
	return now, b.Commit(kv.NoSync)
}

// ExpireHistory drops the states that ended longer ago than Config.History, and returns how many
// went. After a long pause it takes several calls for that: each goes on by a day at most. gone is told the files whose states went (nil: nobody is), after each step.
func (r *Replica) ExpireHistory(ctx context.Context, gone func([]NodeID)) (n int, err error) {
	const op = "namespace.ExpireHistory"
	keep := max(r.cfg.History, 0)
	now, err := r.expireAsOf()
	if err != nil {
		return 0, errs.E(op, errs.Other, "", err)
	}
	before := now.Add(-keep).UnixNano()
	for {
		if ctx.Err() != nil {
			return n, errs.E(op, errs.Interrupted, "", ctx.Err())
		}
		k, nodes, err := r.expireSome(before)
		if err != nil {
			return n, err
		}
		x, err := r.expireXattrs(before)
		if err != nil || k+x == 0 {
			return n, err
		}
		n += k + x
		if gone != nil && k > 0 {
			gone(nodes)
		}
	}
}

func (r *Replica) expireSome(before int64) (n int, nodes []NodeID, err error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.closed {
		return 0, nil, errs.E("namespace.ExpireHistory", errs.Closed, "", nil)
	}
	t := r.reader()
	b := r.cfg.DB.Batch()
	defer b.Close()
	prefix := r.cfg.DB.Key(tableFormer)
	t.fail(t.src.Scan(prefix, func(k kv.Key, row []byte) bool {
		at, ok := keyAt(k)
		if ok && int64(at.Until) > before {
			return false
		}
		n++
		t.fail(b.Delete(k.Clone()))
		f, err := decodeFormer(at, row, t.writers)
		if err != nil { // its index rows lead nowhere, which readers pass over
			return n < expireStep
		}
		nodes = append(nodes, f.ID)
		t.fail(b.Delete(t.db.Extend(t.keys.formerName(f.Parent, f.Name), at.parts()...)))
		t.fail(b.Delete(t.db.Extend(t.keys.formerNode(f.ID), at.parts()...)))
		return n < expireStep
	}))
	if t.err != nil || n == 0 {
		return 0, nil, t.err
	}
	r.mu.Lock()
	err = b.Commit(kv.NoSync)
	r.mu.Unlock()
	if err != nil {
		return 0, nil, errs.E("namespace.ExpireHistory", errs.Other, "", err)
	}
	return n, nodes, nil
}

// FormerContents lists the contents that a file's old states had, each once, newest first.
func (r *Replica) FormerContents(id NodeID) (out []blocks.Content, err error) {
	err = r.read(func(t *tx) error {
		seen := map[blocks.Content]bool{}
		for _, f := range t.formers(t.keys.formerNode(id)) {
			if f.Kind == File && f.Content.Size > 0 && !seen[f.Content] {
				seen[f.Content] = true
				out = append(out, f.Content)
			}
		}
		return nil
	})
	return out, err
}

// HistoryFor is how long old states are kept; 0: not at all.
func (r *Replica) HistoryFor() time.Duration { return max(r.cfg.History, 0) }
