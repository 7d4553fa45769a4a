package placement

import (
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

// maxNodes is the largest number of nodes in one message.
const maxNodes = 4096

// announcement is one frame of KeepProtocol. The first on a stream is Full and holds Kept;
// later ones hold Changes.
type announcement struct {
	Full    bool         `cbor:"1,keyasint"`
	Kept    []writerBits `cbor:"2,keyasint,omitempty"`
	Changes []keepChange `cbor:"3,keyasint,omitempty"`
}

// writerBits is a roaring64 bitmap of the sequence numbers of one writer.
type writerBits struct {
	Device      []byte `cbor:"1,keyasint"`
	Incarnation uint32 `cbor:"2,keyasint"`
	Bits        []byte `cbor:"3,keyasint"`
}

// keepChange says that a node's content, shown by these versions, is kept or no longer kept.
type keepChange struct {
	Node []byte    `cbor:"1,keyasint"`
	Dots []wireDot `cbor:"2,keyasint"`
	On   bool      `cbor:"3,keyasint"`
}

type wireDot struct {
	Device      []byte `cbor:"1,keyasint"`
	Incarnation uint32 `cbor:"2,keyasint"`
	Seq         uint64 `cbor:"3,keyasint"`
}

// holdRequest asks a device to keep these nodes' contents until another keeper relieves it.
type holdRequest struct {
	Nodes [][]byte `cbor:"1,keyasint"`
}

// holdReply says whether it will try.
type holdReply struct {
	Accepted bool   `cbor:"1,keyasint"`
	Reason   string `cbor:"2,keyasint,omitempty"`
}

func badMessage(what string) error {
	return errs.E("placement.parse", errs.Protocol, what, nil)
}

func writerOf(device []byte, incarnation uint32) (ident.Writer, error) {
	if len(device) != 32 {
		return ident.Writer{}, badMessage("device id")
	}
	return ident.Writer{Device: ident.DeviceID(device), Incarnation: incarnation}, nil
}

func nodeOf(b []byte) (namespace.NodeID, error) {
	if len(b) != 16 {
		return namespace.NodeID{}, badMessage("node id")
	}
	return namespace.NodeID(b), nil
}

func newKeepChange(n namespace.NodeID, dots []namespace.Dot, on bool) keepChange {
	c := keepChange{Node: n[:], On: on}
	for _, d := range dots {
		c.Dots = append(c.Dots, wireDot{Device: d.Writer.Device[:], Incarnation: d.Writer.Incarnation, Seq: d.Seq})
	}
	return c
}

func (c keepChange) parse() (n namespace.NodeID, dots []namespace.Dot, err error) {
	if n, err = nodeOf(c.Node); err != nil {
		return
	}
	for _, d := range c.Dots {
		w, err := writerOf(d.Device, d.Incarnation)
		if err == nil && d.Seq >= maxSeq {
			err = badMessage("sequence number")
		}
		if err != nil {
			return n, nil, err
		}
		dots = append(dots, namespace.Dot{Writer: w, Seq: d.Seq})
	}
	return
}

// parseAnnouncement checks everything about a frame; kept is nil unless it is full.
func parseAnnouncement(b []byte) (a announcement, full keptDots, err error) {
	if err = wire.Unmarshal(b, &a); err != nil || !a.Full {
		return
	}
	full = keptDots{}
	for _, wb := range a.Kept {
		w, err := writerOf(wb.Device, wb.Incarnation)
		if err != nil {
			return a, nil, err
		}
		if full[w], err = parseBitmap(wb.Bits, maxBitmap); err != nil {
			return a, nil, err
		}
	}
	return
}

func parseHold(b []byte) ([]namespace.NodeID, error) {
	var m holdRequest
	if err := wire.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if len(m.Nodes) > maxNodes {
		return nil, badMessage("too many nodes")
	}
	var out []namespace.NodeID
	for _, x := range m.Nodes {
		n, err := nodeOf(x)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}
