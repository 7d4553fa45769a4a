package namespace

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
	"github.com/shelffs/shelf/internal/wire"
)

// Incarnation says that a device writes under a new number, because its disk was restored or
// copied (S5): a newer one closes all older ones of the device and voids what they
// acknowledged. The device signs it. The first incarnation, number 1, needs no saying.
type Incarnation struct {
	Writer ident.Writer
	Cuts   []Cut // of its older logs
	Sig    []byte
}

// lineage is what is known of restored devices. It is one small row.
type lineage struct {
	newest map[ident.DeviceID]Incarnation
	older  map[ident.DeviceID][]Incarnation // those that disown what no newer one does: a copy that did not know of them began that
	owed   map[ident.DeviceID]bool          // with whom this device still has to audit (S6)
	facts  map[Fact]bool
	ended  map[ident.Writer]ended // logs of departed devices
}

// Fact says that a restored incarnation has audited with a device.
type Fact struct {
	Writer ident.Writer
	Member ident.DeviceID
}

type (
	lineageWire struct {
		Newest []incarnationWire `cbor:"1,keyasint"`
		Owed   [][]byte          `cbor:"2,keyasint"`
		Facts  []factWire        `cbor:"3,keyasint"`
		Joined bool              `cbor:"4,keyasint,omitempty"` // no longer written: stores made before have it
		Ended  []dotWire         `cbor:"5,keyasint,omitempty"`
		Taken  []endOfLogWire    `cbor:"6,keyasint,omitempty"`
	}
	incarnationWire struct {
		_      struct{} `cbor:",toarray"`
		Writer []byte   // device 32, u32be
		Cuts   []byte   // appendCuts
		Sig    []byte
	}
	factWire struct {
		_      struct{} `cbor:",toarray"`
		Writer []byte
		Member []byte
	}
)

func newLineage() lineage {
	return lineage{newest: map[ident.DeviceID]Incarnation{}, older: map[ident.DeviceID][]Incarnation{}, owed: map[ident.DeviceID]bool{}, facts: map[Fact]bool{}, ended: map[ident.Writer]ended{}}
}

func (l *lineage) clone() lineage {
	return lineage{maps.Clone(l.newest), maps.Clone(l.older), maps.Clone(l.owed), maps.Clone(l.facts), maps.Clone(l.ended)}
}

// current is the number of a device's newest incarnation.
func (l *lineage) current(d ident.DeviceID) uint32 { return max(1, l.newest[d].Writer.Incarnation) }

// closed reports whether a newer incarnation has closed w.
func (l *lineage) closed(w ident.Writer) bool { return w.Incarnation < l.current(w.Device) }

// news reports whether x is newer than what is known of its device, or disowns more.
func (l *lineage) news(x Incarnation) bool {
	return x.Writer.Incarnation > l.current(x.Writer.Device) || l.disownsMore(x)
}

// disownsMore reports whether x disowns what is not known to be disowned; there are bounds to that.
func (l *lineage) disownsMore(x Incarnation) bool {
	cuts := l.cuts(x.Writer.Device)
	more := slices.ContainsFunc(x.Cuts, func(c Cut) bool { return !slices.ContainsFunc(cuts, c.same) })
	return more && len(cuts)+len(x.Cuts) <= maxCuts
}

// learn takes over an incarnation of some device that is news.
func (l *lineage) learn(x Incarnation) {
	dev := x.Writer.Device
	all := append(slices.Clone(l.older[dev]), x)
	if n, ok := l.newest[dev]; ok {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b Incarnation) int { return -merge.CompareWriters(a.Writer, b.Writer) })
	l.newest[dev] = all[0]
	delete(l.older, dev)
	for _, y := range all[1:] {
		if l.disownsMore(y) {
			l.older[dev] = append(l.older[dev], y)
		}
	}
	for f := range l.facts {
		if l.closed(f.Writer) {
			delete(l.facts, f)
		}
	}
}

// cuts are all that a device has disowned of its logs.
func (l *lineage) cuts(dev ident.DeviceID) []Cut {
	out := slices.Clone(l.newest[dev].Cuts)
	for _, x := range l.older[dev] {
		out = append(out, x.Cuts...)
	}
	return out
}

func (l *lineage) incarnations() []Incarnation {
	all := slices.Collect(maps.Values(l.newest))
	for _, xs := range l.older {
		all = append(all, xs...)
	}
	slices.SortFunc(all, func(a, b Incarnation) int { return merge.CompareWriters(a.Writer, b.Writer) })
	return all
}

func (l *lineage) factList() []Fact {
	return slices.SortedFunc(maps.Keys(l.facts), func(a, b Fact) int {
		return cmp.Or(merge.CompareWriters(a.Writer, b.Writer), slices.Compare(a.Member[:], b.Member[:]))
	})
}

// endedList is from where on logs of departed devices count no more, and which sides were said again.
func (l *lineage) endedList() (ends []Dot, taken []ChainEnd) {
	for w, e := range l.ended {
		ends = append(ends, Dot{Writer: w, Seq: e.first})
	}
	slices.SortFunc(ends, Dot.Compare)
	for _, d := range ends {
		taken = append(taken, l.ended[d.Writer].taken...)
	}
	return ends, taken
}

func (l *lineage) encode() []byte {
	ends, taken := l.endedList()
	w := lineageWire{Newest: incarnationsToWire(l.incarnations()), Facts: factsToWire(l.factList()), Ended: dotsToWire(ends), Taken: endsToWire(taken)}
	for d, owes := range l.owed {
		if owes {
			w.Owed = append(w.Owed, d[:])
		}
	}
	slices.SortFunc(w.Owed, slices.Compare)
	return wire.Marshal(w)
}

func (l *lineage) decode(row []byte) error {
	var w lineageWire
	if err := wire.Unmarshal(row, &w); err != nil {
		return corruptRow("lineage")
	}
	incs, ok1 := incarnationsFromWire(w.Newest)
	facts, ok2 := factsFromWire(w.Facts)
	for _, x := range incs {
		l.learn(x)
	}
	for _, f := range facts {
		l.facts[f] = true
	}
	for _, d := range w.Owed {
		if len(d) != len(ident.DeviceID{}) {
			return corruptRow("lineage")
		}
		l.owed[ident.DeviceID(d)] = true
	}
	ends, ok3 := dotsFromWire(w.Ended)
	taken, ok4 := endsFromWire(w.Taken)
	for _, d := range ends {
		l.ended[d.Writer] = ended{first: d.Seq}
	}
	for _, x := range taken {
		l.ended[x.Writer] = l.ended[x.Writer].with(0, []ChainEnd{x})
	}
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return corruptRow("lineage")
	}
	return nil
}

func incarnationsToWire(list []Incarnation) (out []incarnationWire) {
	for _, x := range list {
		out = append(out, incarnationWire{Writer: x.Writer.Append(nil), Cuts: appendCuts(nil, x.Cuts), Sig: x.Sig})
	}
	return out
}

func incarnationsFromWire(list []incarnationWire) (out []Incarnation, ok bool) {
	for _, w := range list {
		d := decoder{b: w.Writer}
		x := Incarnation{Writer: d.writer(), Sig: w.Sig}
		cuts, ok := parseCuts(w.Cuts)
		if !ok || !d.end() || x.Writer.Incarnation < 2 || len(x.Sig) > 64 {
			return nil, false
		}
		x.Cuts = cuts
		out = append(out, x)
	}
	return out, slices.IsSortedFunc(out, func(a, b Incarnation) int { return merge.CompareWriters(a.Writer, b.Writer) })
}

func factsToWire(list []Fact) (out []factWire) {
	for _, f := range list {
		out = append(out, factWire{Writer: f.Writer.Append(nil), Member: f.Member[:]})
	}
	return out
}

func factsFromWire(list []factWire) (out []Fact, ok bool) {
	for _, w := range list {
		d := decoder{b: w.Writer}
		f := Fact{Writer: d.writer()}
		if !d.end() || len(w.Member) != len(f.Member) {
			return nil, false
		}
		f.Member = ident.DeviceID(w.Member)
		out = append(out, f)
	}
	return out, true
}

// incarnationBytes is what the signature of an incarnation covers.
func (r *Replica) incarnationBytes(x Incarnation) []byte {
	return appendCuts(x.Writer.Append(bytes.Clone(r.cfg.Share[:])), x.Cuts)
}

// signed reports whether its device has signed x.
func (r *Replica) signed(x Incarnation) bool {
	return ident.Verify(x.Writer.Device[:], ident.SigIncarnation, r.incarnationBytes(x), x.Sig)
}

// nextIncarnation draws the number of this device's next incarnation. It is partly random: two
// stores restored from the same image must not choose the same.
func (r *Replica) nextIncarnation() (ident.Writer, error) {
	var b [4]byte
	if _, err := r.cfg.Rand.Read(b[1:]); err != nil {
		return ident.Writer{}, errs.E("namespace.nextIncarnation", errs.Other, "", err)
	}
	return ident.Writer{Device: r.cfg.Self, Incarnation: r.line.current(r.cfg.Self) + 1 + binary.BigEndian.Uint32(b[:])}, nil
}

// incarnation signs that this device goes on under w, and has written again up to a number what
// that disowns: cuts, and whatever it has disowned before.
func (r *Replica) incarnation(w ident.Writer, cuts []Cut, upto uint64) Incarnation {
	x := Incarnation{Writer: w}
	for _, c := range r.line.cuts(w.Device) {
		if !slices.ContainsFunc(cuts, c.same) {
			x.Cuts = append(x.Cuts, c.brief())
		}
	}
	x.Cuts = x.Cuts[max(0, len(x.Cuts)+len(cuts)-maxCuts):]
	for _, c := range cuts {
		c.By, c.Upto = w.Incarnation, upto
		x.Cuts = append(x.Cuts, c)
	}
	x.Sig = ident.Sign(r.cfg.Key, ident.SigIncarnation, r.incarnationBytes(x))
	return x
}

// Hear takes in what a peer says of restored devices; it comes before anything else of a
// session, both ways (S5). sends says that it is the peer's records that follow: what it claims
// now is what they have no holes in. Of the other way nothing may be concluded for those, which
// may be under way since before. Stale: this device's own log is in doubt, because the peer knows
// more of it than is here: its disk was restored or copied. Then nothing may be sent until a
// session from a peer has shown what of the log others have (endDoubt). Closed, where this device sends: the
// peer has told of a fork, and this device has dropped a side: what it had told before that is no longer true,
// and a new session has to begin.
func (r *Replica) Hear(from ident.DeviceID, h Hello, sends bool) error {
	const op = "namespace.Hear"
	if h.Share != r.shareName() {
		return errs.E(op, errs.Refused, "another share", nil)
	}
	r.applying.Lock()
	was := r.shortened
	err := r.learn(from, h)
	if err == nil {
		err = r.endForks(from, h)
	}
	if err != nil {
		r.applying.Unlock()
		return errs.E(op, errs.Other, "", err)
	}
	s := r.session(from)
	if sends { // all that was not claimed comes again
		s.run = h.Run
		if p := r.unfinished[from]; p != nil && p.run != h.Run {
			r.anew(from)
		}
		s.theirs, s.limits, s.spoiled, s.garbled = h.Claims, map[ident.Writer]uint64{}, false, false
		s.skip, s.common, s.parted = ident.Writer{}, 0, false
		r.takeSides(s, h)
	}
	r.mu.RLock()
	newest := r.line.current(r.cfg.Self)
	r.mu.RUnlock()
	err = r.checkLogs(from, h, newest)
	if log := r.logInDoubt(); r.inDoubt() && s.skip != log { // it stays so until the session ends, though the doubt may end before
		s.skip, s.common, s.parted = log, 0, false
	}
	outdated := !sends && r.shortened != was
	r.applying.Unlock()
	if err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	if r.inDoubt() {
		return errs.E(op, errs.Stale, "this device's log", nil)
	}
	if outdated {
		return errs.E(op, errs.Closed, "session", nil)
	}
	r.mu.Lock()
	r.skews[from] = time.Duration(h.Clock-r.cfg.Clock().UnixMilli()) * time.Millisecond
	if h.Holds {
		r.heldBy[from] = true
	} else {
		delete(r.heldBy, from)
	}
	r.mu.Unlock()
	r.hearFreeze(from, h)
	r.compare(from, h)
	return nil
}

// learn takes over what a peer knows of restored devices. Needs applying.
func (r *Replica) learn(from ident.DeviceID, h Hello) error {
	r.sealing.Lock()
	defer r.sealing.Unlock()
	line := r.line.clone()
	news, heard := false, false
	for _, x := range h.Incarnations {
		if x.Writer.Device == r.cfg.Self {
			r.mu.Lock()
			r.knownTo[from] = x.Writer.Incarnation
			r.mu.Unlock()
		}
		if !line.news(x) {
			continue
		}
		if !r.cfg.Known(x.Writer.Device) || !r.signed(x) {
			r.refuse(from, badItem{writer: x.Writer, err: badBatch("incarnation"), bytes: x.Sig})
			continue
		}
		line.learn(x)
		news, heard = true, true
		r.oweAll(&line) // whoever hears of a restored device owes everybody an audit (S6)
	}
	for _, f := range h.Facts {
		if r.cfg.Known(f.Writer.Device) && r.cfg.Known(f.Member) && !line.closed(f.Writer) && !line.facts[f] {
			line.facts[f], news = true, true
		}
	}
	if heard {
		r.news.Add(1)
		r.forgetDifferences()
		voids, err := r.voids(&line)
		if err != nil {
			return err
		}
		if len(voids) > 0 {
			r.writing.Lock()
			defer r.writing.Unlock()
			return r.disown(line, voids)
		}
	}
	if news {
		return r.saveLineage(line)
	}
	return nil
}

// oweAll notes that this device owes every other an audit.
func (r *Replica) oweAll(line *lineage) {
	for _, d := range r.members() {
		if d != r.cfg.Self {
			line.owed[d] = true
		}
	}
}

// compare looks whether a device that claims the same holds the same.
func (r *Replica) compare(from ident.DeviceID, h Hello) {
	if !h.Settled || !r.Claims().Covers(h.Claims) { // most end here, before what costs more
		return
	}
	ours := r.Hello(from)
	if !ours.Settled || !h.Settled || !ours.Claims.Covers(h.Claims) || !h.Claims.Covers(ours.Claims) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.apart[from]) > 0 {
		return // what it claims is not the same
	}
	d := r.differs[from]
	was := d.open
	d.open = ours.Fingerprint != h.Fingerprint
	if d.open && !was {
		if d.held != ours.Fingerprint {
			d.held, d.looked = ours.Fingerprint, 0
		}
		if d.mendable() {
			r.news.Add(1)
			r.log.Error("namespace: two devices claim the same and hold different records", "device", from.Short())
		}
	}
	r.differs[from] = d
}

// forgetDifferences is for when a fork of a log is heard of: who held another side of it is not damaged.
func (r *Replica) forgetDifferences() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.differs)
}

// Differing lists the devices that claim exactly what this one claims and yet hold something
// else, until an audit has mended it: a sign of a damaged store on one side.
func (r *Replica) Differing() []ident.DeviceID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []ident.DeviceID
	for d, x := range r.differs {
		if x.open {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b ident.DeviceID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// members are the present devices of the share.
func (r *Replica) members() []ident.DeviceID {
	if r.cfg.Members == nil {
		return nil
	}
	return r.cfg.Members()
}

// saveLineage stores and adopts what is known of restored devices. Needs sealing.
func (r *Replica) saveLineage(l lineage) error {
	b := r.cfg.DB.Batch()
	_ = b.Set(r.keys.state(stateLineage), l.encode())
	if err := b.Commit(kv.NoSync); err != nil {
		return errs.E("namespace.lineage", errs.Other, "", err)
	}
	r.mu.Lock()
	r.line = l
	r.mu.Unlock()
	return nil
}

// Skew is how far a device's clock was ahead of this one's when it was last heard; false if it
// was not heard since Open. The way between them counts, too. It decides nothing but who wins
// among concurrent writes.
func (r *Replica) Skew(dev ident.DeviceID) (time.Duration, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.skews[dev]
	return d, ok
}

// News counts events after which every session must begin anew, so that both sides say again
// where they stand: a restored device was heard of, this one is in doubt or was, or an audit is
// due.
func (r *Replica) News() uint64 { return r.news.Load() }

// Restored reports whether this device writes under a later incarnation than its first.
func (r *Replica) Restored() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.self.Incarnation > 1
}

// Incarnations tells the newest incarnation of every device that has begun a later one than its first.
func (r *Replica) Incarnations() map[ident.DeviceID]uint32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := map[ident.DeviceID]uint32{}
	for d, x := range r.line.newest {
		out[d] = x.Writer.Incarnation
	}
	return out
}
