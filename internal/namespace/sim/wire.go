package sim

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// The form of frames, batches and records as the package namespace documents it, read and
// written here a second time: to see what devices really send, and to send what none would.

const (
	headerLen = 1 + 32 + 36 + 4 + 8 + 4 + 32 + 32 // of a batch
	hashLen   = 16                                // of a member
)

type wireFrame struct {
	batches []wireBatch
	records []wireRecord
}

// wireBatch is u8 version | share 32 | device 32, u32be incarnation | u32be epoch | u64be first |
// u32be count | previous 32 | root 32, with its signature and member hashes.
type wireBatch struct{ raw, sig, hashes []byte }

func (b *wireBatch) writer() ident.Writer { return readWriter(b.raw[33:]) }
func (b *wireBatch) first() uint64        { return binary.BigEndian.Uint64(b.raw[73:]) }

// wireRecord is u8 version | register 16 | u8 class | uvarint seq | …
type wireRecord struct {
	writer ident.Writer
	bytes  []byte
}

func (r *wireRecord) dot() namespace.Dot {
	seq, _ := binary.Uvarint(r.bytes[18:])
	return namespace.Dot{Writer: r.writer, Seq: seq}
}

func readWriter(b []byte) ident.Writer {
	return ident.Writer{Device: ident.DeviceID(b[:32]), Incarnation: binary.BigEndian.Uint32(b[32:])}
}

// readFrame takes apart what a device sent, which is sound.
func readFrame(b []byte) (f wireFrame) {
	b = b[1:]
	number := func() int {
		n, k := binary.Uvarint(b)
		b = b[k:]
		return int(n)
	}
	take := func(n int) []byte {
		p := b[:n:n]
		b = b[n:]
		return p
	}
	for range number() {
		x := wireBatch{raw: take(headerLen), sig: take(ed25519.SignatureSize)}
		x.hashes = take(number() * hashLen)
		f.batches = append(f.batches, x)
	}
	var writers []ident.Writer
	for range number() {
		writers = append(writers, readWriter(take(36)))
	}
	for range number() {
		w := writers[number()>>1] // without whether it is early
		f.records = append(f.records, wireRecord{w, take(number())})
	}
	return f
}

// encode is the inverse of readFrame.
func (f *wireFrame) encode() []byte {
	b := []byte{2}
	number := func(n int) { b = binary.AppendUvarint(b, uint64(n)) }
	number(len(f.batches))
	for _, x := range f.batches {
		b = append(append(b, x.raw...), x.sig...)
		number(len(x.hashes) / hashLen)
		b = append(b, x.hashes...)
	}
	number(len(f.records)) // each with a writer of its own: allowed, if not short
	for _, x := range f.records {
		b = x.writer.Append(b)
	}
	number(len(f.records))
	for i, x := range f.records {
		number(i << 1)
		number(len(x.bytes))
		b = append(b, x.bytes...)
	}
	return b
}

// dump is every live record that a device holds, as it would tell it to a new one.
func (d *device) dump() map[namespace.Dot]string {
	out := map[namespace.Dot]string{}
	delta, err := d.names.Since(ctx, namespace.Hello{})
	d.ok(err)
	defer delta.Close()
	for {
		f, err := delta.Next()
		if err != nil {
			return out
		}
		for _, r := range readFrame(f).records {
			out[r.dot()] = string(r.bytes)
		}
	}
}
