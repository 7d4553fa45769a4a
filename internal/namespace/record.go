package namespace

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// A record is one version on its way between devices. Its bytes, which its batch signs:
//
//	u8 version=1 | register 16 | u8 class | uvarint seq | past | uvarint length | sealed
//	past    = dots of the vector without the record's own | dots of the exceptions
//	dots    = uvarint count | count × (device 32, u32be incarnation, uvarint seq), sorted
//	sealed  = payload under Sealer, its associated data the writer (36) and all before past's end
//	payload = u8 version | node 16 | u8 kind | sub | u64be stamp | value
//
// The register is a PRF of node, kind and sub: a device without keys can merge records and
// cannot tell what they are about. Strings are uvarint length and bytes; every uvarint has its
// shortest form. Equal versions have equal bytes, so records are not stored but made again.
const (
	recordVersion  = 1
	payloadVersion = 2 // the newest that this program writes

	maxPast   = 4096      // dots in one past
	maxRecord = 160 << 10 // bytes: room for the largest xattr
)

// record is a record taken apart, its payload still sealed.
type record struct {
	register [16]byte
	class    merge.Class
	seq      uint64
	past     merge.Past // own dot included
	header   []byte     // associated data
	sealed   []byte
}

// encodeRecord returns the canonical bytes of a version.
func encodeRecord(s Sealer, id regID, v *merge.Version) []byte {
	w := v.Dot.Writer.Append(make([]byte, 0, 512))
	reg := s.RegisterKey(id.node, id.name())
	h := append(w, recordVersion)
	h = append(h, reg[:]...)
	h = append(h, byte(v.Class))
	h = appendUvarint(h, v.Dot.Seq)
	h = appendDots(h, v.Past.Vector, v.Dot)
	h = appendDots(h, v.Past.Except, Dot{})

	p := make([]byte, 0, 256)
	p = append(p, payloadOf(v))
	p = append(p, id.node[:]...)
	p = append(p, byte(id.kind))
	p = appendString(p, id.sub)
	p = binary.BigEndian.AppendUint64(p, uint64(v.T))
	p = appendValue(p, id.node, v)

	sealed := s.SealRecord(h, p)
	out := appendUvarint(h[len(w):], uint64(len(sealed)))
	return append(out, sealed...)
}

// payloadOf is the version of a payload: the lowest that knows what it says, so that older programs
// read what they can. 2: the name of a file is gone (N18).
func payloadOf(v *merge.Version) byte {
	if v.Place != nil && v.Place.Gone {
		return 2
	}
	return 1
}

// appendDots appends a list of dots without skip.
func appendDots(b []byte, ds []Dot, skip Dot) []byte {
	n := len(ds)
	for _, d := range ds {
		if d == skip {
			n--
		}
	}
	b = appendUvarint(b, uint64(n))
	for _, d := range ds {
		if d != skip {
			b = appendUvarint(d.Writer.Append(b), d.Seq)
		}
	}
	return b
}

func (d *decoder) dots() []Dot {
	n := d.count(37)
	if n > maxPast {
		d.fail()
		return nil
	}
	ds := make([]Dot, 0, n)
	for range n {
		ds = append(ds, Dot{Writer: d.writer(), Seq: d.uvarint()})
	}
	return ds
}

func (d *decoder) writer() (w ident.Writer) {
	if p := d.take(36); p != nil {
		w = ident.Writer{Device: ident.DeviceID(p[:32]), Incarnation: binary.BigEndian.Uint32(p[32:])}
	}
	return w
}

// parseRecord takes a record of the given writer apart. It accepts only what encodeRecord
// could have written, as far as that can be seen without opening it. Corrupt, and then of the
// result seq counts, 0 if that cannot be told; Unsupported: a newer form.
func parseRecord(b []byte, w ident.Writer) (record, error) {
	d := decoder{b: b}
	version := d.byte()
	if version > recordVersion {
		return record{}, newerRecord("form")
	}
	r := record{register: d.id(), class: merge.Class(d.byte()), seq: d.uvarint()}
	if len(b) > maxRecord {
		return record{seq: r.seq}, badRecord("too long")
	}
	vector := d.dots()
	except := d.dots()
	head := len(b) - len(d.b)
	r.sealed = d.take(d.count(1))
	own := Dot{Writer: w, Seq: r.seq}
	if !d.end() || version != recordVersion || r.class > merge.Nothing || r.seq == 0 {
		return record{seq: r.seq}, badRecord("form")
	}
	r.past = merge.Past{Vector: vector}.Add(own)
	if len(except) > 0 {
		r.past.Except = except
	}
	// An entry of the own writer is there only if it says more than the own dot does, and
	// nobody can have seen what this writer had not yet written.
	for _, x := range vector {
		if x.Writer == w {
			return record{seq: r.seq}, badRecord("past")
		}
	}
	if !(merge.Past{Vector: vector}).Valid() || !r.past.Valid() || !r.past.Has(own) {
		return record{seq: r.seq}, badRecord("past")
	}
	r.header = append(w.Append(make([]byte, 0, 36+head)), b[:head]...)
	return r, nil
}

// open unseals a record and checks that the payload is what its header says. Corrupt.
// Unsupported: it is of a newer version than reads.
func (r *record) open(s Sealer, w ident.Writer, reads uint8) (regID, *merge.Version, error) {
	p, err := s.OpenRecord(r.header, r.sealed)
	if err != nil {
		return regID{}, nil, err
	}
	d := decoder{b: p}
	version := d.byte()
	if version > reads {
		return regID{}, nil, newerRecord("payload")
	}
	id := regID{node: d.id(), kind: regKind(d.byte()), sub: d.string()}
	v := &merge.Version{Dot: Dot{Writer: w, Seq: r.seq}, Past: r.past, Class: r.class}
	if t := d.take(8); t != nil {
		v.T = merge.Stamp(binary.BigEndian.Uint64(t))
	}
	if d.bad || id.kind < regPlace || id.kind > regPolicy || !validSub(id) {
		return regID{}, nil, badRecord("payload")
	}
	d.value(id, v)
	if !d.end() || version <= payloadVersion && version != payloadOf(v) {
		return regID{}, nil, badRecord("value")
	}
	if s.RegisterKey(id.node, id.name()) != r.register {
		return regID{}, nil, badRecord("register")
	}
	return id, v, nil
}

// hashRecord is what a batch says of each of its members.
func hashRecord(b []byte) [16]byte {
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

func badRecord(what string) error {
	return errs.E("namespace.record", errs.Corrupt, what, nil)
}

func newerRecord(what string) error {
	return errs.E("namespace.record", errs.Unsupported, what+" of a newer version", nil)
}
