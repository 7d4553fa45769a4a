package namespace

import (
	"cmp"
	"encoding/binary"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// The rows of tableDots list the live versions, each with its register: order of the class 1,
// writer number 4, sequence 8, kind 1, node 16, and for policies the device, for registers of
// a blind replica their hidden name. That is all in the key, and the row a mark; the names of
// xattrs are to be hidden and are the row's value. Who has the disk may make marks: a version
// is where its mark says, or the mark is damage.

// dots is the prefix of a writer's rows of one class order.
func (k keys) dots(order int, writer uint32) kv.Key {
	return k.db.Key(tableDots, kv.Plain([]byte{byte(order)}), kv.U32(writer))
}

// dotsFrom says where to scan for what a writer wrote from seq on.
func (k keys) dotsFrom(order int, writer uint32, seq uint64) kv.Range {
	prefix := k.dots(order, writer)
	return kv.Range{Prefix: prefix, From: k.db.Extend(prefix.Clone(), kv.U64(seq)), KeysOnly: true}
}

const (
	dotSeqAt  = 1 + 1 + 4
	dotKindAt = dotSeqAt + 8
)

// dotSeq is the sequence number in the key of a row of tableDots.
func dotSeq(k kv.Key) uint64 { return binary.BigEndian.Uint64(k[dotSeqAt:]) }

func appendDotKey(b kv.Key, order int, writer uint32, seq uint64, id regID) kv.Key {
	b = append(b, tableDots, byte(order))
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, writer), seq)
	b = append(append(b, byte(id.kind)), id.node[:]...)
	if id.kind == regXattr {
		return b
	}
	return append(b, id.sub...)
}

// dotRow is a row to be written.
type dotRow struct {
	writer uint32
	seq    uint64
	dotChange
}

// compare is the order of the table.
func (x dotRow) compare(y dotRow) int {
	return cmp.Or(cmp.Compare(x.order, y.order), cmp.Compare(x.writer, y.writer), cmp.Compare(x.seq, y.seq))
}

// setDot writes or removes the row of a live version.
func (t *tx) setDot(b *kv.Batch, x dotRow) {
	t.key = appendDotKey(t.key[:0], x.order, x.writer, x.seq, x.id)
	switch {
	case !x.live:
		t.fail(b.Delete(t.key))
	case x.id.kind == regXattr:
		t.fail(b.Set(t.key, appendString([]byte{rowVersion}, x.id.sub)))
	default:
		t.fail(b.Mark(t.key))
	}
}

// register reads which register a row of tableDots is about.
func (k keys) register(src kv.Reader, key kv.Key) (id regID, err error) {
	d := decoder{b: key[min(dotKindAt, len(key)):]}
	id.kind, id.node = regKind(d.byte()), d.id()
	id.sub = string(d.b)
	if id.kind == regXattr && !d.bad && id.sub == "" {
		row, err := src.Get(key)
		if err != nil {
			return regID{}, err
		}
		d.b = row
		version := d.byte()
		id.sub = d.string()
		d.bad = d.bad || version != rowVersion || len(d.b) > 0
	}
	if d.bad || (id.kind < regPlace || id.kind > regPolicy) && id.kind != regBlind || !validSub(id) {
		return regID{}, corruptRow("dot")
	}
	return id, nil
}

// registerOf finds the register that holds a dot.
func (t *tx) registerOf(d Dot) (id regID, found bool) {
	for num, w := range t.writers {
		if w != d.Writer {
			continue
		}
		for order := 0; order < 3 && !found; order++ {
			var err error
			t.fail(t.src.ScanRange(t.keys.dotsFrom(order, uint32(num), d.Seq), func(k kv.Key, _ []byte) bool {
				if found = dotSeq(k) == d.Seq; found {
					id, err = t.keys.register(t.src, k)
					t.fail(err)
				}
				return false
			}))
		}
	}
	return id, found && t.err == nil
}

// eachDot calls fn for a writer's live versions of one class order, from a sequence number on, until
// it returns false.
func (k keys) eachDot(src kv.Reader, order int, num uint32, w ident.Writer, from uint64, fn func(Dot) bool) error {
	return src.ScanRange(k.dotsFrom(order, num, from), func(key kv.Key, _ []byte) bool { return fn(Dot{Writer: w, Seq: dotSeq(key)}) })
}
