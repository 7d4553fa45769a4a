package namespace

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// commit writes all changes of a transaction as one batch, visible at once, durable with the
// next sync of the store. Needs writing.
func (r *Replica) commit(op string, t *tx) error {
	t.settle()
	t.account()
	b := r.cfg.DB.Batch()
	t.rows(b)
	if t.also != nil {
		t.also(b)
	}
	d := t.diff()
	t.keepHistory(b, d)
	t.keepXattrs(b)
	t.writerRows(b)
	if t.err != nil {
		b.Close()
		return t.err
	}
	r.mu.Lock()
	err := b.Commit(kv.NoSync)
	if err == nil {
		r.state = t.state
		r.readers.drop()
		r.writers = r.numbers.list
		r.saved = len(r.numbers.list)
		r.next = t.next
		if len(t.written) > 0 {
			r.written.Store(t.next - 1) // with the state, or Hello would take it for settled
		}
		t.remember()
	}
	r.mu.Unlock()
	if err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	if len(t.written) > 0 {
		r.pending = append(r.pending, t.written...)
		r.group.kick()
	}
	r.watch.publish(d.out)
	return nil
}

// remember brings the caches up to date. Needs mu.
func (t *tx) remember() {
	if t.reshaped {
		t.caches.folders.clear()
	}
	bulk := t.remote && len(t.nodes) > cacheRows/8 // would only push out what somebody looks at
	for id, n := range t.nodes {
		switch {
		case !n.dirty:
		case bulk && !t.caches.nodes.has(id):
		default:
			t.caches.nodes.set(id, n.Node)
		}
	}
	for id, d := range t.dirs {
		if d.dirty {
			t.caches.dirs.set(id, d.dirRow)
		}
	}
}

// account brings the sums of the state up to date.
func (t *tx) account() {
	t.fingerprint()
	for _, n := range t.nodes {
		now := n.sum()
		if n.ID != Root {
			t.state.count(n.ID.IsDir(), &n.was, ^uint64(0))
			t.state.count(n.ID.IsDir(), &now, 1)
		}
		t.state.copies += uint64(len(now.copies)) - uint64(len(n.was.copies))
		if n.was.placed && !n.was.link.IsZero() {
			t.state.links--
		}
		if now.placed && !now.link.IsZero() {
			t.state.links++
		}
	}
}

// rows puts the changes into a batch of the store.
func (t *tx) rows(b *kv.Batch) {
	w := &t.r.numbers
	for _, n := range t.inOrder() {
		id := n.ID
		switch {
		case !n.dirty:
		case n.bare():
			t.fail(b.Delete(t.keys.node(id)))
		default:
			t.key = t.keys.appendNode(t.key[:0], id)
			t.made = w.appendNode(t.made[:0], &n.Node)
			t.fail(b.Set(t.key, t.made))
		}
		if id != Root {
			t.mark(b, n)
		}
	}
	for id, s := range t.subs {
		switch {
		case !s.dirty:
		case len(s.reg) == 0:
			t.fail(b.Delete(t.keys.sub(id)))
		default:
			t.fail(b.Set(t.keys.sub(id), w.encodeSub(id, s.reg)))
		}
	}
	names := make([]*name, 0, len(t.names))
	for k, x := range t.names {
		if x.dirty {
			t.several(b, k, len(x.was), len(x.nodes))
		}
		if x.dirty && !slices.Equal(x.nodes, x.was) {
			names = append(names, x)
		}
	}
	slices.SortFunc(names, func(x, y *name) int { return bytes.Compare(x.key, y.key) })
	for _, x := range names {
		if len(x.nodes) == 0 {
			t.fail(b.Delete(x.key))
			continue
		}
		t.made = x.append(t.made[:0])
		t.fail(b.Set(x.key, t.made))
	}
	t.alikes(b)
	for id, d := range t.dirs {
		switch {
		case !d.dirty:
		case d.kids == 0 && d.refs == 0 && id != Root && t.node(id).bare():
			t.fail(b.Delete(t.keys.dir(id)))
		default:
			t.fail(b.Set(t.keys.dir(id), d.encode()))
		}
	}
	for _, x := range t.leftRows {
		t.setDot(b, dotRow{w.number(x.dot.Writer), x.dot.Seq, x.dotChange})
	}
	dots := make([]dotRow, 0, len(t.dotRows))
	for d, c := range t.dotRows {
		dots = append(dots, dotRow{w.number(d.Writer), d.Seq, c})
	}
	slices.SortFunc(dots, dotRow.compare)
	for _, x := range dots {
		t.setDot(b, x)
	}
	for id, of := range t.origins {
		if of.IsZero() {
			t.fail(b.Delete(t.keys.origin(id)))
		} else {
			t.fail(b.Set(t.keys.origin(id), of[:]))
		}
	}
	for k, there := range t.linkRows {
		if there {
			t.r.linked.add(k.file) // before a reader can see the row
			t.fail(b.Set(t.keys.link(k.file, k.link), nil))
		} else {
			t.fail(b.Delete(t.keys.link(k.file, k.link)))
		}
	}
	t.fail(b.Set(t.keys.state(stateCounters), t.state.encode()))
}

// inOrder lists the nodes in the order of their rows: a store takes rows that come in order with
// half the work.
func (t *tx) inOrder() []*node {
	return slices.SortedFunc(maps.Values(t.nodes), func(a, b *node) int { return a.ID.Compare(b.ID) })
}

// writerRows writes the numbers that rows have used for the first time.
func (t *tx) writerRows(b *kv.Batch) {
	w := &t.r.numbers
	for i := t.r.saved; i < len(w.list); i++ {
		t.fail(b.Set(t.keys.writer(uint32(i)), w.list[i].Append(nil)))
	}
}

func encodeAck(a Ack) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{rowVersion}, a.Incarnation), EncodeClaims(a.Claims)...)
}

func decodeAck(row []byte) (Ack, error) {
	if len(row) < 5 || row[0] != rowVersion {
		return Ack{}, corruptRow("acknowledgement")
	}
	c, err := ParseClaims(row[5:])
	return Ack{binary.BigEndian.Uint32(row[1:]), c}, err
}

func encodeHead(h head) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{rowVersion}, h.last), h.hash[:]...)
}

func decodeHead(row []byte) (head, error) {
	if len(row) != 41 || row[0] != rowVersion {
		return head{}, corruptRow("head")
	}
	return head{binary.BigEndian.Uint64(row[1:]), [32]byte(row[9:])}, nil
}
