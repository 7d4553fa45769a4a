package namespace

import (
	"bytes"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
	"github.com/shelffs/shelf/internal/wire"
)

const helloVersion = 1

// maxWriters bounds what one message may say about writers.
const maxWriters = 4096

// Hello is what two replicas tell each other first. It travels as CBOR (Encode, ParseHello).
type Hello struct {
	Version      uint8
	Share        [16]byte      // the share under a PRF of its read key
	Incarnations []Incarnation // of restored devices: the newest of each, and those that disown more, sorted
	Facts        []Fact        // which of them have audited with whom
	Claims       Claims        // durable
	Run          uint64        // drawn when the store was opened
	Progress     Progress      // what has arrived of an unfinished session with the device spoken to
	Fingerprint  [16]byte      // sum of the hashes of all dots of nodes that live or are shown …
	Settled      bool          // … to be compared only where both are settled and claim the same
	Audit        AuditKind     // what this device wants to compare after the next complete session
	Log          LogEnd        // how far it knows the log of the device spoken to,
	Ends         []ChainEnd    // and all others, sorted
	Holds        bool          // it holds back changes of the device spoken to
	Clock        int64         // ms since 1970
	Refuses      uint64        // not 0: the device spoken to is frozen, from this number on
	Doubt        ident.Writer  // which of its own logs is in doubt, and wanted whole; zero: none
	Beyond       []Beyond      // what it holds that it does not claim, sorted
	Ack          Ack           // what the device spoken to has acknowledged, as far as it knows
	Ended        []Dot         // logs of departed devices that have forked, and from where on they count no more, sorted
	Taken        []ChainEnd    // … sides of them that were said again
	Sides        []ChainEnd    // what it has of those of which the device spoken to has another side: ends of batches, sorted
	Mute         bool          // it can write nothing
}

// Beyond is what somebody holds of a writer and does not claim: the session that brought it was
// cut, or its sender did not claim it either. If nobody is left who can claim it, it need not be
// sent in every session all the same.
type Beyond struct {
	Writer ident.Writer
	Sum    [16]byte // of the hashes of the dots
}

// maxBeyond is how many records of a writer may be summed up so.
const maxBeyond = 1024

// LogEnd names the last batch that somebody knows of a device's log; Seq is 0 for none.
type LogEnd struct {
	Incarnation uint32
	Seq         uint64
	Hash        [32]byte // of the batch
}

// ChainEnd is how far a writer's log is known.
type ChainEnd struct {
	Writer ident.Writer
	Seq    uint64
	Hash   [32]byte // of the last batch
}

// AuditKind says why two devices compare all that they hold.
type AuditKind uint8

const (
	NoAudit  AuditKind = iota
	Restored           // a device was restored, or is new: what the peer claims and lacks is dropped (S6)
	Damaged            // both claim the same and hold something else: what is missing is fetched
)

// difference is that a device claims the same as this one and holds something else.
type difference struct {
	open   bool     // until they agree
	held   [16]byte // the fingerprint here, when that was found
	looked int      // how often it was looked into since
}

// maxRepairs is how often a difference that stays is looked into: after that it is only
// reported. That two have agreed meanwhile does not count while nothing has changed here: of
// two copies of one disk that are in use, the one may agree and the other not.
const maxRepairs = 3

func (d difference) mendable() bool { return d.open && d.looked < maxRepairs }

// Progress says how far an unfinished session came, for each class in the order of sessions
// (S3): of each writer all records up to a sequence number have arrived. The fourth list is
// batches. Each list is sorted and has one dot per writer.
type Progress [4][]Dot

// upto is the sequence number up to which records of an order (or batches, 3) have arrived.
func (p *Progress) upto(order int, w ident.Writer) uint64 {
	return merge.Claims{Vector: p[order]}.Upto(w)
}

// The forms on the wire.
type (
	helloWire struct {
		Version      uint8             `cbor:"1,keyasint"`
		Share        []byte            `cbor:"2,keyasint"`
		Incarnations []incarnationWire `cbor:"3,keyasint"`
		Claims       claimWire         `cbor:"4,keyasint"`
		Fingerprint  []byte            `cbor:"5,keyasint"`
		Settled      bool              `cbor:"6,keyasint"`
		Facts        []factWire        `cbor:"7,keyasint"`
		Progress     [4][]dotWire      `cbor:"8,keyasint"`
		Audit        AuditKind         `cbor:"9,keyasint"`
		Log          logWire           `cbor:"10,keyasint"`
		Holds        bool              `cbor:"11,keyasint"`
		Clock        int64             `cbor:"12,keyasint"`
		Refuses      uint64            `cbor:"13,keyasint"`
		Ends         []endOfLogWire    `cbor:"14,keyasint"`
		Doubt        []byte            `cbor:"15,keyasint"`
		Beyond       []beyondWire      `cbor:"16,keyasint"`
		Acked        uint32            `cbor:"17,keyasint"` // the incarnation; 0: nothing is known
		AckedClaims  claimWire         `cbor:"18,keyasint"`
		Run          uint64            `cbor:"19,keyasint"`
		Ended        []dotWire         `cbor:"20,keyasint"`
		Sides        []endOfLogWire    `cbor:"21,keyasint"`
		Mute         bool              `cbor:"22,keyasint"`
		Taken        []endOfLogWire    `cbor:"23,keyasint"`
	}
	beyondWire struct {
		_      struct{} `cbor:",toarray"`
		Writer []byte
		Sum    []byte
	}
	logWire struct {
		_           struct{} `cbor:",toarray"`
		Incarnation uint32
		Seq         uint64
		Hash        []byte
	}
	endOfLogWire struct {
		_      struct{} `cbor:",toarray"`
		Writer []byte
		Seq    uint64
		Hash   []byte
	}
	claimWire []dotWire
	dotWire   struct {
		_      struct{} `cbor:",toarray"`
		Writer []byte   // device 32, u32be incarnation
		Seq    uint64
	}
)

// known is how far the batches of each writer are there; dev is the device spoken to.
func (h *Hello) known(dev ident.DeviceID) Claims {
	out := h.Claims
	raise := func(w ident.Writer, seq uint64) {
		if seq > out.Upto(w) {
			out = out.Raise(Dot{Writer: w, Seq: seq})
		}
	}
	raise(ident.Writer{Device: dev, Incarnation: h.Log.Incarnation}, h.Log.Seq)
	for _, e := range h.Ends {
		raise(e.Writer, e.Seq)
	}
	return out
}

// Encode returns the bytes of h.
func (h Hello) Encode() []byte {
	w := helloWire{Version: helloVersion, Share: h.Share[:], Claims: claimsToWire(h.Claims), Fingerprint: h.Fingerprint[:], Settled: h.Settled,
		Incarnations: incarnationsToWire(h.Incarnations), Facts: factsToWire(h.Facts), Audit: h.Audit, Holds: h.Holds, Clock: h.Clock, Refuses: h.Refuses, Run: h.Run, Mute: h.Mute,
		Ended: dotsToWire(h.Ended), Taken: endsToWire(h.Taken), Ends: endsToWire(h.Ends), Sides: endsToWire(h.Sides),
		Acked: h.Ack.Incarnation, AckedClaims: claimsToWire(h.Ack.Claims),
		Log: logWire{Incarnation: h.Log.Incarnation, Seq: h.Log.Seq, Hash: h.Log.Hash[:]}}
	if h.Doubt != (ident.Writer{}) {
		w.Doubt = h.Doubt.Append(nil)
	}
	for _, x := range h.Beyond {
		w.Beyond = append(w.Beyond, beyondWire{Writer: x.Writer.Append(nil), Sum: x.Sum[:]})
	}
	for i, list := range h.Progress {
		w.Progress[i] = dotsToWire(list)
	}
	return wire.Marshal(w)
}

// ParseHello is the inverse of Encode, with all bounds checked. Protocol.
func ParseHello(b []byte) (Hello, error) {
	const op = "namespace.ParseHello"
	var w helloWire
	if err := wire.Unmarshal(b, &w); err != nil {
		return Hello{}, err
	}
	h := Hello{Version: w.Version, Settled: w.Settled, Audit: w.Audit, Holds: w.Holds, Clock: w.Clock, Refuses: w.Refuses, Run: w.Run, Mute: w.Mute}
	if w.Version == 0 || len(w.Share) != 16 || len(w.Fingerprint) != 16 || len(w.Incarnations) > maxWriters || w.Audit > Damaged || len(w.Log.Hash) != 32 || len(w.Ends) > maxWriters || len(w.Sides) > maxWriters || len(w.Taken) > maxWriters || len(w.Ended) > maxWriters || len(w.Beyond) > maxWriters {
		return Hello{}, errs.E(op, errs.Protocol, "bounds", nil)
	}
	h.Share, h.Fingerprint = [16]byte(w.Share), [16]byte(w.Fingerprint)
	h.Log = LogEnd{w.Log.Incarnation, w.Log.Seq, [32]byte(w.Log.Hash)}
	if d := (decoder{b: w.Doubt}); len(w.Doubt) > 0 {
		if h.Doubt = d.writer(); !d.end() {
			return Hello{}, errs.E(op, errs.Protocol, "doubt", nil)
		}
	}
	var ok1, ok2, ok3, ok4 bool
	h.Ends, ok1 = endsFromWire(w.Ends)
	h.Sides, ok2 = endsFromWire(w.Sides)
	h.Taken, ok3 = endsFromWire(w.Taken)
	if h.Ended, ok4 = dotsFromWire(w.Ended); !ok1 || !ok2 || !ok3 || !ok4 {
		return Hello{}, errs.E(op, errs.Protocol, "ends of logs", nil)
	}
	for _, x := range w.Beyond {
		d := decoder{b: x.Writer}
		e := Beyond{Writer: d.writer()}
		if !d.end() || copy(e.Sum[:], x.Sum) != len(x.Sum) || len(x.Sum) != len(e.Sum) {
			return Hello{}, errs.E(op, errs.Protocol, "beyond", nil)
		}
		h.Beyond = append(h.Beyond, e)
	}
	h.Incarnations, ok1 = incarnationsFromWire(w.Incarnations)
	h.Facts, ok2 = factsFromWire(w.Facts)
	if !ok1 || !ok2 {
		return Hello{}, errs.E(op, errs.Protocol, "incarnations", nil)
	}
	for i, list := range w.Progress {
		var ok bool
		if h.Progress[i], ok = dotsFromWire(list); !ok || len(list) > maxWriters || !(merge.Past{Vector: h.Progress[i]}).Valid() {
			return Hello{}, errs.E(op, errs.Protocol, "progress", nil)
		}
	}
	var err error
	h.Ack.Incarnation = w.Acked
	if h.Ack.Claims, err = claimsFromWire(w.AckedClaims); err != nil {
		return Hello{}, err
	}
	if h.Claims, err = claimsFromWire(w.Claims); err == nil && w.Version == helloVersion && !bytes.Equal(h.Encode(), b) {
		err = errs.E(op, errs.Protocol, "form", nil)
	}
	return h, err
}

func endsToWire(ends []ChainEnd) (out []endOfLogWire) {
	for _, e := range ends {
		out = append(out, endOfLogWire{Writer: e.Writer.Append(nil), Seq: e.Seq, Hash: e.Hash[:]})
	}
	return out
}

func endsFromWire(ws []endOfLogWire) (out []ChainEnd, ok bool) {
	for _, x := range ws {
		d := decoder{b: x.Writer}
		e := ChainEnd{Writer: d.writer(), Seq: x.Seq}
		if !d.end() || copy(e.Hash[:], x.Hash) != len(x.Hash) || len(x.Hash) != len(e.Hash) {
			return nil, false
		}
		out = append(out, e)
	}
	return out, true
}

// EncodeDots is for messages that name single writes.
func EncodeDots(ds []Dot) []byte { return wire.Marshal(dotsToWire(ds)) }

// ParseDots is the inverse of EncodeDots. Protocol.
func ParseDots(b []byte) ([]Dot, error) {
	var w []dotWire
	if err := wire.Unmarshal(b, &w); err != nil {
		return nil, err
	}
	ds, ok := dotsFromWire(w)
	if !ok || len(ds) > MaxRecords {
		return nil, errs.E("namespace.ParseDots", errs.Protocol, "dots", nil)
	}
	return ds, nil
}

// EncodeClaims is for messages and rows that carry claims alone.
func EncodeClaims(c Claims) []byte { return wire.Marshal(claimsToWire(c)) }

// ParseClaims is the inverse of EncodeClaims. Protocol.
func ParseClaims(b []byte) (Claims, error) {
	var w claimWire
	if err := wire.Unmarshal(b, &w); err != nil {
		return Claims{}, err
	}
	c, err := claimsFromWire(w)
	if err == nil && !bytes.Equal(EncodeClaims(c), b) {
		err = errs.E("namespace.ParseClaims", errs.Protocol, "form", nil)
	}
	return c, err
}

type (
	endWire struct {
		Claims claimWire `cbor:"1,keyasint"`
		Acks   []ackWire `cbor:"2,keyasint"`
		Partly bool      `cbor:"3,keyasint"`
	}
	ackWire struct {
		_           struct{} `cbor:",toarray"`
		Device      []byte
		Incarnation uint32
		Claims      claimWire
	}
)

// Encode returns the bytes of e.
func (e End) Encode() []byte {
	w := endWire{Claims: claimsToWire(e.Claims), Partly: e.Partly}
	for dev, a := range e.Acks {
		w.Acks = append(w.Acks, ackWire{Device: dev[:], Incarnation: a.Incarnation, Claims: claimsToWire(a.Claims)})
	}
	slices.SortFunc(w.Acks, func(a, b ackWire) int { return slices.Compare(a.Device, b.Device) })
	return wire.Marshal(w)
}

// ParseEnd is the inverse of Encode. Protocol.
func ParseEnd(b []byte) (End, error) {
	const op = "namespace.ParseEnd"
	var w endWire
	if err := wire.Unmarshal(b, &w); err != nil {
		return End{}, err
	}
	c, err := claimsFromWire(w.Claims)
	e := End{Claims: c, Acks: map[ident.DeviceID]Ack{}, Partly: w.Partly}
	for _, a := range w.Acks {
		if len(a.Device) != len(ident.DeviceID{}) || a.Incarnation == 0 {
			return End{}, errs.E(op, errs.Protocol, "acknowledgement", nil)
		}
		claims, err1 := claimsFromWire(a.Claims)
		if err == nil {
			err = err1
		}
		e.Acks[ident.DeviceID(a.Device)] = Ack{a.Incarnation, claims}
	}
	if err == nil && !bytes.Equal(e.Encode(), b) {
		err = errs.E(op, errs.Protocol, "form", nil)
	}
	return e, err
}

func claimsToWire(c Claims) claimWire {
	return dotsToWire(c.Vector)
}

func dotsToWire(ds []Dot) (out []dotWire) {
	for _, d := range ds {
		out = append(out, dotWire{Writer: d.Writer.Append(nil), Seq: d.Seq})
	}
	return out
}

func claimsFromWire(w claimWire) (Claims, error) {
	vector, ok := dotsFromWire(w)
	if !ok || len(vector) > maxWriters || !(merge.Past{Vector: vector}).Valid() {
		return Claims{}, errs.E("namespace.ParseClaims", errs.Protocol, "claims", nil)
	}
	return Claims{Vector: vector}, nil
}

func dotsFromWire(ws []dotWire) (out []Dot, ok bool) {
	for _, w := range ws {
		d := decoder{b: w.Writer}
		x := Dot{Writer: d.writer(), Seq: w.Seq}
		if !d.end() || w.Seq == 0 {
			return nil, false
		}
		out = append(out, x)
	}
	return out, true
}

// Hello says to a peer where this replica stands. While its own log is in doubt it claims
// nothing of that, so that the peer shows all that it has.
func (r *Replica) Hello(peer ident.DeviceID) Hello {
	h := Hello{Version: helloVersion, Share: r.shareName(), Clock: r.cfg.Clock().UnixMilli(), Run: r.run}
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.RLock()
	defer r.mu.RUnlock()
	h.Progress = r.progressOf(peer)
	w := ident.Writer{Device: peer, Incarnation: r.line.current(peer)}
	if known := r.heads[w]; known.last > 0 {
		h.Log = LogEnd{w.Incarnation, known.last, known.hash}
	}
	for x, known := range r.heads {
		if x != w && known.last > 0 {
			h.Ends = append(h.Ends, ChainEnd{x, known.last, known.hash})
		}
	}
	slices.SortFunc(h.Ends, func(a, b ChainEnd) int { return merge.CompareWriters(a.Writer, b.Writer) })
	h.Incarnations, h.Facts = r.line.incarnations(), r.line.factList()
	h.Ended, h.Taken = r.line.endedList()
	h.Sides, h.Mute = r.sides(peer), r.mute()
	_, h.Holds = r.brakes.held[w]
	h.Refuses, _ = r.limit(w)
	h.Claims = r.claims
	if r.inDoubt() {
		h.Doubt = r.logInDoubt()
		h.Claims, h.Progress = h.Claims.Without(h.Doubt), Progress{}
	}
	h.Audit = r.wants(peer)
	h.Fingerprint = r.state.print
	if a := r.acks[peer]; a.Incarnation == w.Incarnation {
		h.Ack = a
	}
	beyond, all := r.beyond()
	h.Beyond = beyond
	// Who cannot tell what lives has no fingerprint, nor who may still hold what is dead.
	h.Settled = !r.mayHoldDead(peer) && !r.blind() && !r.holdsNewer() && !r.inDoubt() && !r.holdsDoubtful() && r.written.Load() == r.durable.Load() && all && len(beyond) == 0
	return h
}

// beyond sums up what is held and not claimed; all: of no writer was that too much. Needs applying
// and mu.
func (r *Replica) beyond() (out []Beyond, all bool) {
	all = true
	for num, w := range r.writers {
		if h := r.heads[w]; w == r.self || h.last > 0 && h.last <= r.claims.Upto(w) {
			continue
		}
		switch sum, n, err := r.sumBeyond(r.cfg.DB, uint32(num), w, r.claims); {
		case err != nil || n > maxBeyond:
			all = false
		case n > 0:
			out = append(out, Beyond{w, sum})
		}
	}
	slices.SortFunc(out, func(a, b Beyond) int { return merge.CompareWriters(a.Writer, b.Writer) })
	return out, all
}

// sumBeyond sums up what src holds of a writer that is not in c, up to one record too many.
func (r *Replica) sumBeyond(src kv.Reader, num uint32, w ident.Writer, c Claims) (sum [16]byte, n int, err error) {
	var x state
	for order := 0; order < 3 && err == nil; order++ {
		err = r.keys.eachDot(src, order, num, w, c.Upto(w)+1, func(d Dot) bool {
			if !c.Has(d) {
				x.addDot(d)
				n++
			}
			return n <= maxBeyond
		})
	}
	return x.print, n, err
}

// Claims are what this replica durably includes.
func (r *Replica) Claims() Claims {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.claims
}

// Changed returns a channel that is closed when the durable claims have advanced since the
// call. To miss nothing: take the channel, then look at Claims, then wait.
func (r *Replica) Changed() <-chan struct{} { return r.signal.wait() }
