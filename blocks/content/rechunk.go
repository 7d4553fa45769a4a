package content

import (
	"bytes"
	"io"

	"github.com/shelffs/shelf/blocks/chunker"
	"github.com/shelffs/shelf/internal/errs"
)

const (
	// unit is the size and alignment of what is looked at for zeros, and of what is read
	// at a time, in bytes.
	unit = 64 << 10
	// minAnchored is the length from which on a chunk may end at a boundary of the old
	// tree only to meet it. Shorter ones go on into the next block, so that many edits do
	// not leave crumbs.
	minAnchored = 16 << 10
)

// chunkFrom cuts one chunk, or one unit of zeros, at pos, and returns where it ends.
func (sp *splicer) chunkFrom(pos uint64) (uint64, error) {
	limit, whole, err := sp.limit(pos)
	if err != nil {
		return 0, err
	}
	sp.seek(pos, limit)
	for scanned := 0; ; {
		at := pos + uint64(len(sp.buf)) // all before is read and has no end of a chunk in it
		if scanned == len(sp.buf) {
			if at == limit {
				return sp.cut(len(sp.buf))
			}
			if err := sp.read(min(at/unit*unit+unit, limit)); err != nil {
				return 0, err
			}
		}
		fresh := sp.buf[scanned:]
		if start := pos + uint64(scanned); start%unit == 0 && sp.isHole(start, fresh) {
			if scanned > 0 {
				return sp.cut(scanned)
			}
			n := uint64(len(fresh))
			sp.buf = sp.buf[:0]
			return pos + n, sp.hole(n)
		}
		if !whole && len(sp.buf) >= chunker.Min { // most small files never need the chunker
			if n := sp.env.chunker().Cut(sp.buf, scanned); n > 0 {
				return sp.cut(n)
			}
		}
		scanned = len(sp.buf)
	}
}

// limit returns where the chunk that begins at pos ends at the latest, and whether it ends
// only there: it takes the place of a block of the old tree that is changed in part.
func (sp *splicer) limit(pos uint64) (limit uint64, whole bool, err error) {
	hard := sp.changes.nextUnread(pos, sp.edit.Size)
	if pos < sp.old.size {
		p, err := sp.old.piece(sp.ctx, pos)
		if err != nil {
			return 0, false, err
		}
		s, inside := sp.changes.at(pos)
		if p.Off == pos && !p.IsHole() && p.Length <= chunker.Max && p.End() <= hard &&
			!(inside && s.end >= p.End()) && !sp.grows(p.End()) {
			return p.End(), true, nil
		}
	}
	limit = min(hard, pos+chunker.Max)
	for x := pos + minAnchored; x < min(limit, sp.old.size); {
		if s, inside := sp.changes.at(x); inside && s.off < x {
			x = s.end
			continue
		}
		p, err := sp.old.piece(sp.ctx, x)
		if err != nil {
			return 0, false, err
		}
		b := p.End()
		switch {
		case p.Off == x:
			b = x
		case p.IsHole():
			b = min((x+unit-1)/unit*unit, b)
		}
		if s, inside := sp.changes.at(b); inside && s.off < b {
			x = s.end
			continue
		}
		if b < limit && !sp.grows(b) {
			limit = b
		}
		break
	}
	return limit, false, nil
}

// grows reports whether end is the old file's end and bytes to read follow: no boundary
// that content has made.
func (sp *splicer) grows(end uint64) bool {
	s, inside := sp.changes.at(end)
	return end == sp.old.size && inside && s.read()
}

// seek makes the buffer begin at pos: with what has been read beyond the last chunk when
// that is where it ended, otherwise empty. Chunks end at limit at the latest.
func (sp *splicer) seek(pos, limit uint64) {
	if sp.bufOff != pos {
		sp.buf = sp.buf[:0]
	}
	sp.bufOff = pos
	if need := int(limit - pos); cap(sp.buf) < need {
		sp.buf = append(sp.buffer(need), sp.buf...)
	}
	if rest := pos + uint64(len(sp.buf)); rest > limit {
		sp.buf = sp.buf[:limit-pos]
	}
}

// buffer returns an empty buffer for n bytes: one of those shared among the trees when it
// is for a large chunk, one of its own size for a small file.
func (sp *splicer) buffer(n int) []byte {
	if n <= chunker.Max/4 {
		return make([]byte, 0, n)
	}
	if b, ok := sp.env.buffers.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, chunker.Max)
}

// read fills the buffer up to the file offset end.
func (sp *splicer) read(end uint64) error {
	have := len(sp.buf)
	into := sp.buf[have : end-sp.bufOff]
	n, err := sp.edit.New.ReadAt(into, int64(sp.bufOff)+int64(have))
	if n == len(into) {
		sp.buf = sp.buf[:have+n]
		return nil
	}
	if err == nil || err == io.EOF {
		err = errs.E("content.Splice", errs.Invalid, "content shorter than its size", io.ErrUnexpectedEOF)
	}
	return err
}

// cut ends a chunk after the buffer's first n bytes and keeps the rest.
func (sp *splicer) cut(n int) (uint64, error) {
	chunk, rest := sp.buf[:n], sp.buf[n:]
	pos := sp.bufOff
	sp.bufOff = pos + uint64(n)
	if len(rest) > 0 {
		sp.buf = append(sp.buffer(chunker.Max), rest...)
	} else {
		sp.buf = nil
	}
	return sp.bufOff, sp.pipe.put(pos, chunk)
}

// isHole reports whether b, at an aligned offset, is a unit of zeros, or the zero rest of
// the file with nothing before it in its chunk.
func (sp *splicer) isHole(off uint64, b []byte) bool {
	full := len(b) == unit
	rest := off+uint64(len(b)) == sp.edit.Size && off == sp.bufOff
	return (full || rest) && isZero(b)
}

func isZero(b []byte) bool {
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}
