package namespace

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Who holds a side of a log that its device has disowned cannot keep it in its registers: by its
// numbers others may mean other writes. What took its place has yet to come, though, and may never
// come: the disk that held it may be put back once more before anybody has heard it all. So what
// was dropped lies aside until that is claimed; if it can't be any more, and no member has it
// either, this device says it again as its own (S5). A blind replica cannot, and sets nothing aside.
// Nor is anything kept that this program cannot read.

// aside is a version that was dropped with its side of a fork.
type aside struct {
	cut   Cut
	alike uint64       // as far as the writer had the same side
	of    ident.Writer // whose log it was
	id    regID
	v     *merge.Version
}

// never is due of what nobody will write again: its device did not have just that.
const never = math.MaxUint64

// due is what has to be claimed instead of x.
func (x *aside) due() Dot {
	by := Dot{Writer: ident.Writer{Device: x.of.Device, Incarnation: x.cut.By}, Seq: x.cut.Upto}
	if x.v.Dot.Seq > x.alike {
		by.Seq = never
	}
	return by
}

// A row of tableAside, by the numbers of writers. Key: u32 incarnation that writes it again, u64 up
// to which number | u32 log, u64 sequence number, the first 8 bytes of the cut's hash. Value: u8
// version | uvarint where the log is cut | u8 kind, node, what names the register in it | version.
func (r *Replica) setAside(b *kv.Batch, x *aside) {
	due, num := x.due(), r.numbers.number
	k := r.cfg.DB.Key(tableAside, kv.U32(num(due.Writer)), kv.U64(due.Seq), kv.U32(num(x.of)), kv.U64(x.v.Dot.Seq), kv.Plain(x.cut.Ends[0].hash[:8]))
	row := appendUvarint([]byte{rowVersion}, x.cut.First)
	row = appendString(append(append(row, byte(x.id.kind)), x.id.node[:]...), x.id.sub)
	_ = b.Set(k, r.numbers.appendVersion(row, x.id.node, x.v, nil))
}

// asideRow reads what setAside wrote.
func (t *tx) asideRow(row []byte) (x aside, err error) {
	d := rowDecoder{decoder: decoder{b: row}, writers: t.writers}
	version := d.byte()
	x.cut.First = d.uvarint()
	x.id = regID{kind: regKind(d.byte()), node: d.id(), sub: d.string()}
	if x.id.kind < regPlace || x.id.kind > regPolicy || !validSub(x.id) {
		return x, corruptRow("aside")
	}
	x.v = d.version(x.id)
	if x.of = x.v.Dot.Writer; !d.end() || version != rowVersion {
		err = corruptRow("aside")
	}
	return x, err
}

// asideDue reads from a key of tableAside what has to be claimed.
func (t *tx) asideDue(k kv.Key) (due Dot, ok bool) {
	d := decoder{b: k[1:]}
	num, seq := d.take(4), d.take(8)
	if d.bad || int(binary.BigEndian.Uint32(num)) >= len(t.writers) {
		return Dot{}, false
	}
	return Dot{Writer: t.writers[binary.BigEndian.Uint32(num)], Seq: binary.BigEndian.Uint64(seq)}, true
}

// settleAside forgets what lies aside if what took its place is claimed, and says again what nobody
// has any more. Needs applying.
func (r *Replica) settleAside() error {
	const op = "namespace.settleAside"
	r.mu.RLock()
	none := r.asides == 0
	r.mu.RUnlock()
	if none || r.mute() {
		return nil
	}
	var lost, told []kv.Key
	rest := 0
	if err := r.read(func(t *tx) error {
		states := map[Dot]asideState{}
		return t.src.ScanKeys(t.db.Key(tableAside), func(k kv.Key) bool {
			due, ok := t.asideDue(k)
			if !ok {
				t.fail(corruptRow("aside"))
				return false
			}
			state, known := states[due]
			if !known {
				state = r.asideState(due)
				states[due] = state
			}
			switch state {
			case asideTold:
				told = append(told, k.Clone())
			case asideLost:
				lost = append(lost, k.Clone())
			default:
				rest++
			}
			return true
		})
	}); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	for step := range slices.Chunk(told, applyStep) {
		if err := r.forgetAside(op, step, nil); err != nil {
			return err
		}
	}
	for step := range slices.Chunk(lost, applyStep) {
		if err := r.forgetAside(op, step, (*tx).sayAside); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.asides = rest
	r.mu.Unlock()
	if len(lost) > 0 {
		r.log.Warn("namespace: what a restored device has lost was said again", "records", len(lost))
	}
	return nil
}

// forgetAside deletes rows, after it has done something with each.
func (r *Replica) forgetAside(op string, rows []kv.Key, do func(*tx, *aside)) error {
	return r.transact(op, func(t *tx) error {
		t.doubtful = r.doubtful()
		for _, k := range rows {
			if do == nil {
				break
			}
			x, err := t.asideRow(bytes.Clone(t.get(k)))
			if err != nil {
				return err
			}
			do(t, &x)
		}
		t.settle()
		t.unaudited = true
		t.repeatPlaces() // others may have forgotten what it lies in (S8)
		t.also = func(b *kv.Batch) {
			for _, k := range rows {
				_ = b.Delete(k)
			}
		}
		return nil
	})
}

// sayAside writes a version again, as this device's own, unless it is there.
func (t *tx) sayAside(x *aside) {
	reg, value := t.held(x.id), appendValue(nil, x.id.node, x.v)
	if slices.ContainsFunc(reg, func(u *merge.Version) bool {
		return u.T == x.v.T && u.Class == x.v.Class && bytes.Equal(appendValue(nil, x.id.node, u), value)
	}) {
		return
	}
	v := *x.v
	v.Dot = Dot{Writer: t.author, Seq: t.next}
	v.Past = v.Past.Upto(x.of, x.cut.First-1).Add(v.Dot)
	for _, u := range reg { // not what this device wrote beside it
		if u.Dot.Writer == t.author {
			v.Past = v.Past.Without(u.Dot)
		}
	}
	t.next++
	reg, _ = reg.Insert(&v, t.doubtful)
	t.replace(x.id, reg)
	t.written = append(t.written, written{x.id, &v})
}

// asideState says what becomes of what lies aside.
type asideState uint8

const (
	asideWaits asideState = iota
	asideTold             // what took its place is claimed
	asideLost             // … and will never be
)

// asideState needs mu. What took the place of something, and is itself behind a fork, was written
// again once more, or lies aside, too.
func (r *Replica) asideState(due Dot) asideState {
	members, cuts := r.members(), r.line.cuts(due.Writer.Device)
	for due.Seq != never {
		if due.Seq <= r.claims.Upto(due.Writer) {
			return asideTold
		}
		i := slices.IndexFunc(cuts, func(c Cut) bool { return c.Incarnation == due.Writer.Incarnation && c.First <= due.Seq })
		if i < 0 {
			break
		}
		due = Dot{Writer: ident.Writer{Device: due.Writer.Device, Incarnation: cuts[i].By}, Seq: cuts[i].Upto}
	}
	over := due.Seq == never || r.line.closed(due.Writer) || !r.isMember(members, due.Writer.Device)
	if len(members) == 0 || !over || r.inDoubt() || slices.ContainsFunc(members, r.owes) {
		return asideWaits // somebody may still have it
	}
	return asideLost
}

// loadAside counts what lies aside.
func (r *Replica) loadAside() error {
	return r.cfg.DB.ScanKeys(r.cfg.DB.Key(tableAside), func(kv.Key) bool {
		r.asides++
		return true
	})
}
