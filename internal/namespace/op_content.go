package namespace

import (
	"math"
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Also adds rows of somebody else to the batch of an operation: they are there with it or not at all. It
// is for tables in the replica's store that are not its own.
type Also = func(*kv.Batch)

// Now is the mtime of bytes that changed when they are committed. Every other one is a time, that of
// the epoch, too.
const Now = math.MinInt64

// Commit gives a file new bytes, whose blocks must be durable. base are the Versions that the
// writer had seen; versions it had not seen stay, as conflict copies. A nil base means those
// shown now. mtime is in nanoseconds, or Now. A file that was removed elsewhere comes back. The
// id of a conflict copy works, and stays the copy's id. Stale: nothing is known of the node, or it
// is no regular file.
func (r *Replica) Commit(id NodeID, base []Dot, content blocks.Content, mtime int64, also ...Also) (Entry, error) {
	const op = "namespace.Commit"
	return r.entryOp(op, func(t *tx) (NodeID, error) {
		t.also = allOf(also)
		return id, t.commitBytes(op, id, base, content, mtime)
	})
}

// commitBytes is Commit within an operation.
func (t *tx) commitBytes(op string, id NodeID, base []Dot, content blocks.Content, mtime int64) error {
	bytes := merge.Bytes{Kind: File, Content: content}
	if id.IsDir() {
		return errs.E(op, errs.IsDir, "", nil)
	}
	if !validBytes(id, bytes) {
		return errs.E(op, errs.Invalid, "", nil)
	}
	s, shown := t.show(id)
	if shown {
		if !t.node(id).link().IsZero() {
			return errs.E(op, errs.Stale, "link", nil)
		}
		s = t.own(s)
		t.editable(s, id, bytes)
	}
	n := t.node(id)
	if len(n.P) == 0 {
		return errs.E(op, errs.Stale, "", nil)
	}
	t.revive(t.folder(n.at.parent))
	t.comeBack(id)
	t.edit(n, base, bytes, mtime)
	if shown && base != nil {
		t.keepNames(s)
	}
	return nil
}

// CommitLost gives bytes to a file that somebody has open and of which nothing is known any more: a
// conflict copy that was discarded elsewhere, or a file whose removal was collected. was is how it
// showed last: it comes back there, or in the root if its directory is gone, too. Stale: something
// is known of it (Commit).
func (r *Replica) CommitLost(was Entry, content blocks.Content, mtime int64, also ...Also) (Entry, error) {
	const op = "namespace.CommitLost"
	return r.entryOp(op, func(t *tx) (NodeID, error) {
		t.also = allOf(also)
		bytes := merge.Bytes{Kind: File, Content: content}
		if !validBytes(was.ID, bytes) || !validName(was.Name) {
			return was.ID, errs.E(op, errs.Invalid, "", nil)
		}
		if n := t.node(was.ID); len(n.P) > 0 || len(n.C) > 0 {
			return was.ID, errs.E(op, errs.Stale, "", nil)
		}
		f, err := t.open(op, was.Parent)
		if errs.Is(err, errs.NotExist) {
			f, err = t.folder(Root), nil
		}
		if err != nil {
			return was.ID, err
		}
		t.revive(f)
		t.pinFor(f, was.Name, was.ID)
		stamp := t.stamp()
		if mtime == Now {
			mtime = stamp.Nanos()
		}
		t.putPlace(was.ID, f.id, was.Name, true, stamp)
		t.put(was.ID, merge.Strong, &merge.Body{Bytes: bytes, Mtime: mtime, Mode: was.Mode, UID: was.UID, GID: was.GID}, stamp)
		return was.ID, nil
	})
}

func allOf(also []Also) Also {
	if len(also) == 0 {
		return nil
	}
	return func(b *kv.Batch) {
		for _, fn := range also {
			fn(b)
		}
	}
}

// edit writes a strong version. It covers what of the base is still held; without a base,
// what the name shows; and always what nothing shows (N4).
func (t *tx) edit(n *node, base []Dot, bytes merge.Bytes, mtime int64) {
	gs, rest := n.parts()
	cover := slices.Clone(rest)
	for _, v := range n.C {
		shown := len(gs) > 0 && slices.Contains(gs[0].Versions, v)
		if v.Class != merge.Nothing && !slices.Contains(cover, v) && (base == nil && shown || slices.Contains(base, v.Dot)) {
			cover = append(cover, v)
		}
	}
	body := t.present(n)
	stamp := t.stamp(n.ID)
	if mtime == Now {
		mtime = stamp.Nanos()
	}
	body.Bytes, body.Mtime = bytes, mtime
	t.write(regID{node: n.ID, kind: regBytes}, &merge.Version{T: stamp, Class: merge.Strong, Body: &body}, cover)
}
