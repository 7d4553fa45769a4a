package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// Somebody who was a member, and has all keys, signs what no program of ours would. Each such
// liar writes one file, honestly, and then lies in one way. Nothing of the lie may ever be
// shown, and nobody else's work may suffer (invariant 24). Who has forgotten removals by what the
// members acknowledged, or has just joined, knows that a liar is none, and does not listen to him.

// chain is a liar's log, which is the same for whoever hears him.
type chain struct {
	who    int
	kind   string
	frames []lyingFrame
	heard  map[*device]bool // by whom
}

// lyingFrame is all of a session, and what is claimed at its end.
type lyingFrame struct {
	bytes []byte
	upto  uint64
}

// lies are what comes after the liar's honest file: members of a record that are wrong, signed;
// or a batch that is wrong.
var lies = map[string]func(*forger){
	"slash":    func(f *forger) { f.place("../evil", namespace.Root); f.content(fileBody(1)) },
	"nameless": func(f *forger) { f.place("", namespace.Root); f.content(fileBody(1)) },
	"long": func(f *forger) {
		f.place(string(make([]byte, namespace.MaxName+1)), namespace.Root)
		f.content(fileBody(1))
	},
	"infile":    func(f *forger) { f.place("evil", nodeID{0: 0xee}); f.content(fileBody(1)) },
	"root":      func(f *forger) { f.node = namespace.Root; f.place("evil", nodeID{0: 1, 15: 1}) },
	"kind":      func(f *forger) { f.honestPlace(); f.content([]byte{99}) },
	"dirbytes":  func(f *forger) { f.honestPlace(); f.content([]byte{2, 0, 0, 0, 0}) },
	"trailing":  func(f *forger) { f.honestPlace(); f.content(append(fileBody(1), 0)) },
	"class":     func(f *forger) { f.honestPlace(); f.record(classPlaced, regBytes, fileBody(1)) },
	"classes":   func(f *forger) { f.honestPlace(); f.record(9, regBytes, fileBody(1)) },
	"garbage":   func(f *forger) { f.payload(classStrong, regBytes, []byte("\x01garbage")) },
	"unsealed":  func(f *forger) { f.broken = true; f.content(fileBody(1)) },
	"elsewhere": func(f *forger) { f.misplaced = true; f.content(fileBody(1)) },
	"future":    func(f *forger) { f.ahead = true; f.content(fileBody(1)) },
	"hashes":    func(f *forger) { f.place("evil", namespace.Root); f.mangle = true },

	"chain":    func(f *forger) { f.prev[0] ^= 1; f.honestPlace(); f.content(fileBody(1)) },
	"gap":      func(f *forger) { f.first += 2; f.honestPlace(); f.content(fileBody(1)) },
	"share":    func(f *forger) { f.share[0] ^= 1; f.honestPlace(); f.content(fileBody(1)) },
	"epoch":    func(f *forger) { f.epoch++; f.honestPlace(); f.content(fileBody(1)) },
	"unsigned": func(f *forger) { f.unsigned = true; f.honestPlace(); f.content(fileBody(1)) },
	"stranger": func(f *forger) { f.honestPlace(); f.content(fileBody(1)) },
}

// lieKinds are the keys of lies, in order.
func lieKinds() (out []string) {
	for k := range lies {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// foul reports whether frames may hold what is refused: somebody has lied, or there are two logs
// of one device.
func (w *world) foul() bool {
	return w.lied() || len(w.numbers.forked) > 0 || w.copied()
}

func (w *world) lied() bool { return w.liars != [liars]*chain{} }

// lie lets a device hear the WHOth liar, whose KIND of lie is the one that he was first made to
// tell.
func (w *world) lie(d *device, s *Step) {
	who := s.num(0) % liars
	c := w.liars[who]
	if c == nil {
		if lies[s.arg(1)] == nil {
			return
		}
		c = newChain(who, s.arg(1))
		w.liars[who] = c
		his := newStore()
		his.durable[honestContent(who)] = true
		w.stores = append(w.stores, &his)
	}
	w.stats.Met["lies"]++
	c.heard[d] = true
	w.hear(d, c)
}

// lieAgain: who was cut short hears the whole of it, for what nobody can claim is sent for ever.
func (w *world) lieAgain() {
	for _, c := range w.liars {
		for _, d := range w.devices {
			if c != nil && c.heard[d] {
				w.hear(d, c)
			}
		}
	}
}

func (w *world) hear(d *device, c *chain) {
	if d.deaf {
		return
	}
	id := c.id()
	for _, f := range c.frames { // each a session
		err := d.names.Apply(ctx, id, f.bytes)
		if d.seen = nil; d.broke(err) || errs.Is(err, errs.Stale) { // it listens to nobody now
			return
		}
		if err != nil && !errs.Is(err, errs.Corrupt) {
			w.fail("no lie in the way", "%v", err)
		}
		end := namespace.End{Claims: namespace.Claims{Vector: []namespace.Dot{{Writer: ident.Writer{Device: id, Incarnation: 1}, Seq: f.upto}}}}
		if _, err := d.names.Complete(ctx, id, end); d.broke(err) {
			return
		} else {
			d.ok(err)
		}
	}
	d.durable()
	w.unfooled(d)
	if w.check {
		d.checkView()
	}
}

func isLiar(w ident.Writer) bool {
	for i := range liars {
		if w.Device == deviceID(liar+i) {
			return true
		}
	}
	return w.Device == deviceID(stranger)
}

// honest is c without what is claimed of liars.
func honest(c namespace.Claims) namespace.Claims {
	for i := range liars {
		c = c.Without(ident.Writer{Device: deviceID(liar + i), Incarnation: 1})
	}
	return c
}

// unfooled: nothing of a lie is shown.
func (w *world) unfooled(d *device) {
	for i := range d.view().items {
		x := &d.view().items[i]
		if slices.ContainsFunc(w.liars[:], func(c *chain) bool { return c != nil && x.ID == lyingNode(c.who) }) {
			w.fail("a lie is never shown", "%s shows %q %+v", deviceName(d.i), x.path, x.entry)
		}
	}
}

func (c *chain) id() ident.DeviceID {
	if c.kind == "stranger" {
		return deviceID(stranger)
	}
	return deviceID(liar + c.who)
}

func newChain(who int, kind string) *chain {
	c := &chain{who: who, kind: kind, heard: map[*device]bool{}}
	f := &forger{by: ident.Writer{Device: c.id(), Incarnation: 1}, share: share, epoch: 1, version: 1, first: 1}
	f.node = nodeID{0: 0xee, 7: byte(who)} // an honest file
	f.place("honest "+deviceName(liar+who), namespace.Root)
	f.content(fileBody(honestContent(who)))
	honest := f.batch()
	f.prev = sha256.Sum256(honest.batches[0].raw)
	c.frames = append(c.frames, lyingFrame{honest.encode(), f.first - 1})

	f.node = lyingNode(who)
	lies[kind](f)
	lie := f.batch()
	c.frames = append(c.frames, lyingFrame{lie.encode(), f.first - 1})
	return c
}

// lyingNode is what the lie is about.
func lyingNode(who int) nodeID { return nodeID{0: 0xee, 1: 1, 7: byte(who)} }

// honestContent is one of those that several write.
func honestContent(who int) int { return 1 + who%shared }

// forger makes batches.
type forger struct {
	by        ident.Writer
	share     ident.ShareID
	epoch     uint32
	version   byte // of payloads
	first     uint64
	prev      [32]byte
	node      nodeID
	records   [][]byte
	broken    bool // records do not open
	misplaced bool // in another register than the payload says
	ahead     bool // it has seen what its writer has yet to write
	mangle    bool // the member hashes are not the ones signed
	unsigned  bool
}

// Numbers of the record format.
const (
	classPlaced = 0
	classStrong = 1
	regPlace    = 1
	regBytes    = 2
)

func (f *forger) honestPlace() { f.place("evil", namespace.Root) }

func (f *forger) place(name string, in nodeID) {
	p := append(in[:], 0)
	if f.node.IsDir() {
		p = append(p, make([]byte, 16)...)
	}
	f.record(classPlaced, regPlace, append(binary.AppendUvarint(p, uint64(len(name))), name...))
}

func (f *forger) content(body []byte) { f.record(classStrong, regBytes, body) }

// fileBody is the value of a content register: a file with one of the common contents.
func fileBody(n int) []byte {
	c := content(n)
	b := append([]byte{byte(namespace.File), c.Depth, byte(c.Size)}, c.Root[:]...)
	return append(b, 0, 0, 0, 0) // mtime, mode, owner
}

func (f *forger) record(class, reg byte, value []byte) {
	p := append([]byte{f.version}, f.node[:]...)
	p = append(p, reg, 0)
	p = append(p, 0, 0, 0, 0, 0, 0, 0, byte(len(f.records)+1)) // stamp
	f.payload(class, reg, append(p, value...))
}

func (f *forger) payload(class, reg byte, payload []byte) {
	seq := f.first + uint64(len(f.records))
	name := sealer{}.RegisterKey(f.node, []byte{reg})
	if f.misplaced {
		name[0] ^= 1
	}
	h := append(append([]byte{1}, name[:]...), class)
	h = binary.AppendUvarint(h, seq)
	if f.ahead {
		h = append(f.by.Append(append(h, 1)), byte(seq+5))
	} else {
		h = append(h, 0)
	}
	h = append(h, 0)
	sealed := sealer{}.SealRecord(append(f.by.Append(nil), h...), payload)
	if f.broken {
		sealed[0] ^= 1
	}
	h = binary.AppendUvarint(h, uint64(len(sealed)))
	f.records = append(f.records, append(h, sealed...))
}

// batch signs the records made so far and goes on behind them.
func (f *forger) batch() *wireFrame {
	var out wireFrame
	var hashes []byte
	for _, r := range f.records {
		sum := sha256.Sum256(r)
		hashes = append(hashes, sum[:hashLen]...)
		out.records = append(out.records, wireRecord{f.by, r})
	}
	root := sha256.Sum256(hashes)
	if f.mangle {
		hashes[0] ^= 1
	}
	raw := append([]byte{1}, f.share[:]...)
	raw = f.by.Append(raw)
	raw = binary.BigEndian.AppendUint32(raw, f.epoch)
	raw = binary.BigEndian.AppendUint64(raw, f.first)
	raw = binary.BigEndian.AppendUint32(raw, uint32(len(f.records)))
	raw = append(append(raw, f.prev[:]...), root[:]...)
	sig := signer{f.by.Device}.SignBatch(raw)
	if f.unsigned {
		sig[3] ^= 1
	}
	out.batches = []wireBatch{{raw, sig, hashes}}
	f.first += uint64(len(f.records))
	f.records = nil
	return &out
}
