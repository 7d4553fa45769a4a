// Package wire holds what every protocol between devices shares: the stream, length-
// prefixed frames and one strict CBOR profile. It knows no message.
package wire

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// MaxFrame is the longest frame body: one sealed block of 4 MiB and 4 KiB for its envelope.
const MaxFrame = 4<<20 + 4<<10

// Stream is one ordered, authenticated, encrypted byte stream to a device.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error // no more from this side; reading goes on
	Reset() error      // give up both directions at once
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// WriteFrame writes u32be length and the concatenated parts. It makes one Write call for
// small frames, so that a frame is one packet where it fits.
func WriteFrame(w io.Writer, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n > MaxFrame {
		return errs.E("wire.WriteFrame", errs.TooLarge, "", nil)
	}
	const join = 64 << 10 // above this a copy costs more than a second Write
	head := binary.BigEndian.AppendUint32(make([]byte, 0, 4+min(n, join)), uint32(n))
	if n <= join {
		for _, p := range parts {
			head = append(head, p...)
		}
		parts = nil
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// ReadFrame reads one frame of at most limit bytes (never more than MaxFrame). The length is
// checked before anything is allocated, and memory grows with what really arrives. io.EOF
// means a clean end between frames; io.ErrUnexpectedEOF a cut inside one.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > int64(min(limit, MaxFrame)) {
		return nil, errs.E("wire.ReadFrame", errs.Protocol, "frame too long", nil)
	}
	const step = 1 << 20
	buf := make([]byte, 0, min(n, step))
	for int64(len(buf)) < n {
		want := min(n-int64(len(buf)), step)
		if int64(cap(buf)-len(buf)) < want {
			grown := make([]byte, len(buf), min(n, 2*int64(cap(buf))+want))
			copy(grown, buf)
			buf = grown
		}
		got, err := io.ReadFull(r, buf[len(buf):int64(len(buf))+want])
		buf = buf[:len(buf)+got]
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return buf, nil
}
