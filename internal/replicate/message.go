package replicate

import (
	"io"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/wire"
)

// The first byte of a frame says what it is.
const (
	msgHello    = 'H' // CBOR hello
	msgMembers  = 'M' // CBOR array of membership entries
	msgRecords  = 'R' // a frame of namespace.Delta
	msgComplete = 'C' // namespace.End
	msgAck      = 'A' // namespace.EncodeClaims
	msgAsk      = 'Q' // a question of namespace.Audit
	msgAnswer   = 'P' // its answer; without a body: the repairs are sent
	msgWant     = 'W' // namespace.EncodeDots: records to send again
	msgRepair   = 'F' // a frame of them
	msgDone     = 'D' // the audit is done
)

// maxFrame is a frame of records and its first byte; membership entries are sent in frames
// of at most as much.
const maxFrame = namespace.MaxFrame + 1

// writeTime is how long a frame may take to leave: a peer that reads nothing for so long is gone.
const writeTime = 30 * time.Second

// greeting is what both say first.
type greeting struct {
	heads   []share.Hash // of the membership logs
	records namespace.Hello
	run     run  // of the side that speaks; zero: not said
	twice   bool // the side spoken to is there twice (twice.go)
}

type helloWire struct {
	Heads   [][]byte `cbor:"1,keyasint"` // 32 bytes each
	Records []byte   `cbor:"2,keyasint"` // namespace.Hello
	Run     []byte   `cbor:"3,keyasint"` // 16 bytes
	Twice   bool     `cbor:"4,keyasint"`
}

// greet is what this device says to dev now.
func (r *Replicator) greet(dev ident.DeviceID, h namespace.Hello) greeting {
	return greeting{r.cfg.Members.Heads(), h, r.run, r.twins.twice(dev)}
}

func encodeHello(g greeting) []byte {
	m := helloWire{Records: g.records.Encode(), Run: g.run[:], Twice: g.twice}
	for i := range g.heads {
		m.Heads = append(m.Heads, g.heads[i][:])
	}
	return wire.Marshal(m)
}

func parseHello(b []byte) (g greeting, err error) {
	const op = "replicate.parseHello"
	var m helloWire
	if err := wire.Unmarshal(b, &m); err != nil {
		return g, err
	}
	for _, h := range m.Heads {
		if len(h) != len(share.Hash{}) {
			return g, errs.E(op, errs.Protocol, "head", nil)
		}
		g.heads = append(g.heads, share.Hash(h))
	}
	if len(m.Run) != len(g.run) {
		return g, errs.E(op, errs.Protocol, "run", nil)
	}
	g.run, g.twice = run(m.Run), m.Twice
	g.records, err = namespace.ParseHello(m.Records)
	return g, err
}

// receiveHello takes the other side's first message, which must come soon.
func receiveHello(s wire.Stream) (greeting, error) {
	_ = s.SetReadDeadline(time.Now().Add(handshakeTime))
	defer func() { _ = s.SetReadDeadline(time.Time{}) }()
	kind, body, err := receive(s)
	if err != nil {
		return greeting{}, err
	}
	if kind != msgHello {
		return greeting{}, errs.E("replicate.hello", errs.Protocol, "hello expected", nil)
	}
	return parseHello(body)
}

func send(s wire.Stream, kind byte, body []byte) error {
	_ = s.SetWriteDeadline(time.Now().Add(writeTime))
	return wire.WriteFrame(s, []byte{kind}, body)
}

func receive(r io.Reader) (kind byte, body []byte, err error) {
	f, err := wire.ReadFrame(r, maxFrame)
	if err != nil {
		return 0, nil, err
	}
	if len(f) == 0 {
		return 0, nil, errs.E("replicate.receive", errs.Protocol, "empty frame", nil)
	}
	return f[0], f[1:], nil
}

// inGroups cuts entries into runs that fit a frame.
func inGroups(entries [][]byte) [][][]byte {
	const room = namespace.MaxFrame / 2
	var groups [][][]byte
	size := room
	for _, e := range entries {
		if size += len(e) + 8; size > room {
			groups, size = append(groups, nil), len(e)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], e)
	}
	return groups
}
