package namespace

import (
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// sendStep is how many records are made at once: their rows are read together, and all
// processors seal them.
const sendStep = 512

// liveDot is a live version and where it is held.
type liveDot struct {
	dot Dot
	id  regID
}

// dots yields the live records of a writer, of one class, that the peer does not claim.
func (d *Delta) dots(order int, num uint32, w ident.Writer, yield func(item) bool) bool {
	after := max(d.theirs.Upto(w), d.progress.upto(order, w))
	rng := d.t.keys.dotsFrom(order, num, after+1)
	for {
		var live []liveDot
		err := d.snap.ScanRange(rng, func(k kv.Key, _ []byte) bool {
			x := liveDot{dot: Dot{Writer: w, Seq: dotSeq(k)}}
			if d.theirs.Has(x.dot) {
				return true
			}
			var err error
			x.id, err = d.t.keys.register(d.snap, k)
			live = append(live, x)
			if len(live) == sendStep {
				rng.From, rng.After = k.Clone(), true
			}
			return d.check(err) && len(live) < sendStep
		})
		if !d.check(err) {
			return false
		}
		for _, it := range d.make(live) {
			if !yield(it) {
				return false
			}
		}
		if d.err != nil || len(live) < sendStep {
			return d.err == nil
		}
	}
}

// make makes records; none with an error.
func (d *Delta) make(live []liveDot) []item {
	ids := make([]NodeID, 0, len(live))
	for _, x := range live {
		if x.id.inNode() {
			ids = append(ids, x.id.node)
		}
	}
	if len(d.t.nodes)+len(d.t.subs) > 2*sendStep { // the transaction keeps what it read
		d.t.nodes, d.t.subs, d.t.dirs = nil, nil, nil
	}
	d.t.nodesAhead(ids)
	items := make([]item, len(live))
	for i, x := range live {
		items[i] = item{by: x.dot.Writer, node: x.id.node, v: d.t.held(x.id).Find(x.dot)}
		if items[i].v == nil {
			d.check(corruptRow("dot"))
		}
	}
	if !d.check(nil) {
		return nil
	}
	parallel(len(live), func(i int) { items[i].record = d.r.record(live[i].id, items[i].v) })
	return items
}
