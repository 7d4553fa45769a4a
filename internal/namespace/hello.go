package namespace

import (
	"bytes"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
	"github.com/shelffs/shelf/internal/wire"
)

const helloVersion = 1

// maxWriters bounds what one message may say about writers.
const maxWriters = 4096

// Hello is what two replicas tell each other first. It travels as CBOR (Encode, ParseHello).
type Hello struct {
	Version      uint8
	Share        [16]byte       // the share under a PRF of its read key
	Incarnations []ident.Writer // the newest of each device, sorted
	Claims       Claims         // durable
	Fingerprint  [16]byte       // sum of the hashes of all live versions' dots …
	Settled      bool           // … to be compared only where both are settled and claim the same
}

// The forms on the wire.
type (
	helloWire struct {
		Version      uint8     `cbor:"1,keyasint"`
		Share        []byte    `cbor:"2,keyasint"`
		Incarnations [][]byte  `cbor:"3,keyasint"` // device 32, u32be
		Claims       claimWire `cbor:"4,keyasint"`
		Fingerprint  []byte    `cbor:"5,keyasint"`
		Settled      bool      `cbor:"6,keyasint"`
	}
	claimWire struct {
		Vector []dotWire `cbor:"1,keyasint"`
		Dots   []dotWire `cbor:"2,keyasint"`
	}
	dotWire struct {
		_      struct{} `cbor:",toarray"`
		Writer []byte   // device 32, u32be incarnation
		Seq    uint64
	}
)

// Encode returns the bytes of h.
func (h Hello) Encode() []byte {
	w := helloWire{Version: helloVersion, Share: h.Share[:], Claims: claimsToWire(h.Claims), Fingerprint: h.Fingerprint[:], Settled: h.Settled}
	for _, x := range h.Incarnations {
		w.Incarnations = append(w.Incarnations, x.Append(nil))
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
	h := Hello{Version: w.Version, Settled: w.Settled}
	if w.Version == 0 || len(w.Share) != 16 || len(w.Fingerprint) != 16 || len(w.Incarnations) > maxWriters {
		return Hello{}, errs.E(op, errs.Protocol, "bounds", nil)
	}
	h.Share, h.Fingerprint = [16]byte(w.Share), [16]byte(w.Fingerprint)
	for _, x := range w.Incarnations {
		d := decoder{b: x}
		h.Incarnations = append(h.Incarnations, d.writer())
		if !d.end() {
			return Hello{}, errs.E(op, errs.Protocol, "incarnation", nil)
		}
	}
	if !slices.IsSortedFunc(h.Incarnations, merge.CompareWriters) {
		return Hello{}, errs.E(op, errs.Protocol, "order", nil)
	}
	var err error
	if h.Claims, err = claimsFromWire(w.Claims); err == nil && w.Version == helloVersion && !bytes.Equal(h.Encode(), b) {
		err = errs.E(op, errs.Protocol, "form", nil)
	}
	return h, err
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

func claimsToWire(c Claims) claimWire {
	w := claimWire{}
	for _, d := range c.Vector {
		w.Vector = append(w.Vector, dotWire{Writer: d.Writer.Append(nil), Seq: d.Seq})
	}
	for _, d := range c.Dots {
		w.Dots = append(w.Dots, dotWire{Writer: d.Writer.Append(nil), Seq: d.Seq})
	}
	return w
}

func claimsFromWire(w claimWire) (Claims, error) {
	vector, ok1 := dotsFromWire(w.Vector)
	dots, ok2 := dotsFromWire(w.Dots)
	c := Claims{Vector: vector, Dots: dots}
	if !ok1 || !ok2 || len(vector) > maxWriters || !(merge.Past{Vector: vector}).Valid() || !ascending(dots) {
		return Claims{}, errs.E("namespace.ParseClaims", errs.Protocol, "claims", nil)
	}
	return c, nil
}

func ascending(ds []Dot) bool {
	for i := 1; i < len(ds); i++ {
		if ds[i-1].Compare(ds[i]) >= 0 {
			return false
		}
	}
	return true
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

// Hello says where this replica stands.
func (r *Replica) Hello() Hello {
	h := Hello{Version: helloVersion, Share: r.cfg.Sealer.RegisterKey(NodeID{}, []byte("hello"))}
	r.applying.Lock()
	settled := true
	for _, s := range r.sessions {
		settled = settled && !s.open
	}
	r.applying.Unlock()
	r.mu.RLock()
	defer r.mu.RUnlock()
	h.Claims = r.claims
	h.Fingerprint = r.state.print
	h.Settled = settled && r.written.Load() == r.durable.Load()
	newest := map[ident.DeviceID]ident.Writer{}
	for _, w := range r.writers {
		if newest[w.Device].Incarnation < w.Incarnation {
			newest[w.Device] = w
		}
	}
	for _, w := range newest {
		h.Incarnations = append(h.Incarnations, w)
	}
	slices.SortFunc(h.Incarnations, merge.CompareWriters)
	return h
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
