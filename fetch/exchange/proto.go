package exchange

import (
	"encoding/binary"
	"io"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
)

// The protocol. Every message is a frame: u32be length of what follows, then a fixed head.
//
//	question  u8 kind | u32 id | …                       answer  u8 status | u32 id | …
//	  get       u8 priority | digest 32                    status 0: the block's bytes
//	  walk      as get | u8 level | u64 off | u64 len      status 0: a bundle, see bundle.go
//	  part      as get | u32 off | u32 len                 status 0: the block's header, and len bytes of it from off on
//	  cancel    –                                          none of its own
//	  raise     u8 priority                                none of its own
//	  have      n × digest 32                              status 0: n × u8 Class
//	  release   k × (node 16 | u16 n | n × digest 32)      status 0: u8 (0 or 1) for each digest
//
// Each question but cancel and raise, which speak of an earlier get, is answered exactly once, in any order; status is an errs.Kind, and
// anything but 0 has no bytes after it. A cancelled question that was not served yet is
// answered with Interrupted. The asker opens the streams, one for each lane of urgency. A
// stream is as urgent as the most urgent block owed on it; the less urgent ones of a device stand back.
const (
	kindGet     = 1
	kindCancel  = 2
	kindHave    = 3
	kindRelease = 4
	kindRaise   = 5
	kindWalk    = 6
	kindPart    = 7
)

const (
	digestLen    = 32
	nodeLen      = 16
	stretchLen   = 1 + 8 + 8
	spanLen      = 4 + 4
	headLen      = 4 + 1 + 4 // length, kind or status, id
	maxDigests   = 4096      // in one have or release
	maxQuestion  = 5 + maxDigests*(nodeLen+2+digestLen)
	maxQuestions = 1024 // unanswered on one stream
)

// question is one message from the asker.
type question struct {
	kind     uint8
	id       uint32
	priority fetch.Priority
	leaves   []Leave         // release
	next     blocks.Stretch  // walk
	part     blocks.Span     // part
	digests  []blocks.Digest // get, walk, part: exactly one; have: some
}

// appendTo appends the frame.
func (q question) appendTo(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, q.kind)
	b = binary.BigEndian.AppendUint32(b, q.id)
	switch q.kind {
	case kindGet, kindWalk, kindPart, kindRaise:
		b = append(b, byte(q.priority))
	}
	for _, l := range q.leaves {
		b = append(b, l.Node[:]...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(l.Blocks)))
		for i := range l.Blocks {
			b = append(b, l.Blocks[i][:]...)
		}
	}
	for i := range q.digests {
		b = append(b, q.digests[i][:]...)
	}
	switch q.kind {
	case kindWalk:
		b = append(b, q.next.Level)
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, q.next.Off), q.next.Len)
	case kindPart:
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, q.part.Off), q.part.Len)
	}
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// block reports whether the answer is a block, with what comes along, or a part of one.
func (q question) block() bool { return q.kind == kindGet || q.kind == kindWalk || q.kind == kindPart }

// most is how many bytes an answer may have.
func (q question) most() int {
	switch q.kind {
	case kindWalk:
		return maxBundle
	case kindPart:
		return blocks.HeadLen + int(q.part.Len)
	}
	return blocks.MaxSealed
}

// parseQuestion reads the body of a frame. It does not keep b.
func parseQuestion(b []byte) (question, error) {
	bad := func(why string) (question, error) {
		return question{}, errs.E("exchange.parseQuestion", errs.Protocol, why, nil)
	}
	if len(b) < 5 {
		return bad("short message")
	}
	q := question{kind: b[0], id: binary.BigEndian.Uint32(b[1:])}
	b = b[5:]
	switch q.kind {
	case kindGet:
		if len(b) != 1+digestLen {
			return bad("length of get")
		}
		q.priority, b = min(fetch.Priority(b[0]), fetch.Background), b[1:]
	case kindWalk:
		if len(b) != 1+digestLen+stretchLen {
			return bad("length of walk")
		}
		n := b[1+digestLen:]
		q.next = blocks.Stretch{Level: n[0], Off: binary.BigEndian.Uint64(n[1:]), Len: binary.BigEndian.Uint64(n[9:])}
		q.priority, b = min(fetch.Priority(b[0]), fetch.Background), b[1:1+digestLen]
	case kindPart:
		if len(b) != 1+digestLen+spanLen {
			return bad("length of part")
		}
		p := b[1+digestLen:]
		if q.part = (blocks.Span{Off: binary.BigEndian.Uint32(p), Len: binary.BigEndian.Uint32(p[4:])}); q.part.Len > blocks.MaxSealed-blocks.HeadLen {
			return bad("part of a block")
		}
		q.priority, b = min(fetch.Priority(b[0]), fetch.Background), b[1:1+digestLen]
	case kindCancel:
		if len(b) != 0 {
			return bad("length of cancel")
		}
		return q, nil
	case kindRaise:
		if len(b) != 1 {
			return bad("length of raise")
		}
		q.priority = min(fetch.Priority(b[0]), fetch.Background)
		return q, nil
	case kindRelease:
		var err error
		q.leaves, err = parseLeaves(b)
		return q, err
	case kindHave:
	default:
		return bad("unknown kind")
	}
	if len(b) == 0 || len(b)%digestLen != 0 || len(b) > maxDigests*digestLen {
		return bad("number of digests")
	}
	q.digests = parseDigests(b)
	return q, nil
}

// parseLeaves reads the files of a release, each with its blocks.
func parseLeaves(b []byte) (out []Leave, err error) {
	bad := errs.E("exchange.parseQuestion", errs.Protocol, "release", nil)
	for total := 0; len(b) > 0; {
		if len(b) < nodeLen+2 {
			return nil, bad
		}
		l, n := Leave{Node: [nodeLen]byte(b)}, int(binary.BigEndian.Uint16(b[nodeLen:]))
		if b = b[nodeLen+2:]; n == 0 || n*digestLen > len(b) || total+n > maxDigests {
			return nil, bad
		}
		l.Blocks = parseDigests(b[:n*digestLen])
		out, total, b = append(out, l), total+n, b[n*digestLen:]
	}
	if len(out) == 0 {
		return nil, bad
	}
	return out, nil
}

func parseDigests(b []byte) []blocks.Digest {
	out := make([]blocks.Digest, len(b)/digestLen)
	for i := range out {
		copy(out[i][:], b[i*digestLen:])
	}
	return out
}

// items is how many bytes the answer to a have or release has.
func (q question) items() int {
	n := len(q.digests)
	for _, l := range q.leaves {
		n += len(l.Blocks)
	}
	return n
}

// answerHead is the head of an answer with n bytes after it.
func answerHead(status errs.Kind, id uint32, n int) [headLen]byte {
	var h [headLen]byte
	binary.BigEndian.PutUint32(h[:], uint32(headLen-4+n))
	h[4] = byte(status)
	binary.BigEndian.PutUint32(h[5:], id)
	return h
}

// readAnswerHead returns the head of the next answer and how many bytes follow it.
func readAnswerHead(r io.Reader) (status errs.Kind, id uint32, n int, err error) {
	var h [headLen]byte
	if _, err = io.ReadFull(r, h[:]); err != nil {
		return 0, 0, 0, err
	}
	length := int64(binary.BigEndian.Uint32(h[:])) - (headLen - 4)
	status, id = errs.Kind(h[4]), binary.BigEndian.Uint32(h[5:])
	if length < 0 || length > maxBundle || (status != 0 && length != 0) {
		return 0, 0, 0, errs.E("exchange.readAnswer", errs.Protocol, "length", nil)
	}
	return status, id, int(length), nil
}
