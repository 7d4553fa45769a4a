package fs

import (
	"sort"

	"github.com/shelffs/shelf/blocks"
)

// span is a range of a file that was written and is not in its tree yet: bytes in memory, bytes of a block, or
// zeros.
type span struct {
	off  int64
	n    int64
	buf  *buffer // its bytes are buf.b[at : at+n]
	lent *lent   // its bytes are those of the block from at on
	at   int64
}

// lent is a block that a copy takes over from its original (copy.go).
type lent struct {
	blocks.Ref
	from Blocks // who brings it
}

func (s span) end() int64    { return s.off + s.n }
func (s span) bytes() []byte { return s.buf.b[s.at : s.at+s.n] }
func (s span) zero() bool    { return s.buf == nil && s.lent == nil }

// within is the number of bytes of s in [from, to).
func (s span) within(from, to int64) int64 { return max(0, min(s.end(), to)-max(s.off, from)) }

// weight is within for what lies in memory.
func (s span) weight(from, to int64) int64 {
	if s.buf == nil {
		return 0
	}
	return s.within(from, to)
}

// layer holds the spans of one file: sorted, without overlap. The zero layer is empty.
// It is not safe for concurrent use; a layer that nobody writes to may be read by many.
type layer struct {
	spans []span
	mem   *memory
	held  int64 // bytes in memory that the spans show
	lent  int64 // bytes of blocks that they show
}

func (l *layer) empty() bool { return len(l.spans) == 0 }

// large reports whether the layer is better sealed, though the file may still be written.
func (l *layer) large() bool { return l.held >= earlySeal || len(l.spans) >= manySpans }

// find returns the index of the first span that ends after off.
func (l *layer) find(off int64) int {
	return sort.Search(len(l.spans), func(i int) bool { return l.spans[i].end() > off })
}

// write copies p into the layer at off.
func (l *layer) write(off int64, p []byte) {
	for len(p) > 0 {
		n := l.overwrite(off, p)
		if n == 0 {
			n = l.extend(off, p)
		}
		if n == 0 {
			n = min(len(p), bufMax)
			buf := l.mem.get(n)
			buf.b = append(buf.b, p[:n]...)
			l.put(span{off: off, n: int64(n), buf: buf})
		}
		off, p = off+int64(n), p[n:]
	}
}

// overwrite copies what it can of p into a span that holds off already.
func (l *layer) overwrite(off int64, p []byte) int {
	i := l.find(off)
	if i == len(l.spans) || l.spans[i].off > off || l.spans[i].buf == nil {
		return 0
	}
	return copy(l.spans[i].bytes()[off-l.spans[i].off:], p)
}

// extend appends what it can of p to a span that ends at off and whose buffer is its own.
func (l *layer) extend(off int64, p []byte) int {
	i := l.find(off - 1) // the span that holds the byte before
	if off == 0 || i == len(l.spans) || l.spans[i].end() != off {
		return 0
	}
	s := &l.spans[i]
	if s.buf == nil || s.buf.shares > 1 || s.at+s.n != int64(len(s.buf.b)) || len(s.buf.b) >= bufMax {
		return 0
	}
	n := min(len(p), bufMax-len(s.buf.b))
	if i+1 < len(l.spans) {
		n = min(n, int(min(l.spans[i+1].off-off, bufMax))) // the next span is overwritten, not covered
	}
	if n == 0 {
		return 0
	}
	if need := len(s.buf.b) + n; need > cap(s.buf.b) {
		grown := l.mem.get(need)
		grown.b = append(grown.b, s.bytes()...)
		l.mem.put(s.buf)
		s.buf, s.at = grown, 0
	}
	s.buf.b = append(s.buf.b, p[:n]...)
	s.n += int64(n)
	l.held += int64(n)
	return n
}

// zero makes [off, off+n) read as zeros.
func (l *layer) zero(off, n int64) {
	if n <= 0 {
		return
	}
	if i := l.find(off - 1); off > 0 && i < len(l.spans) && l.spans[i].end() == off && l.spans[i].zero() {
		off, n = l.spans[i].off, n+l.spans[i].n
	}
	l.put(span{off: off, n: n})
}

// lend makes [off, off+n) read as the block does from at on.
func (l *layer) lend(off, n int64, block *lent, at int64) {
	if n <= 0 {
		return
	}
	if i := l.find(off - 1); off > 0 && i < len(l.spans) { // what is copied in small steps is one block all the same
		if s := l.spans[i]; s.end() == off && s.lent != nil && s.lent.Ref == block.Ref && s.at+s.n == at {
			off, n, at = s.off, n+s.n, s.at
		}
	}
	l.put(span{off: off, n: n, lent: block, at: at})
}

// put lays s over what is there; the layer owns its share of the buffer.
func (l *layer) put(s span) {
	l.cut(s.off, s.end())
	i := l.find(s.off)
	l.spans = append(l.spans, span{})
	copy(l.spans[i+1:], l.spans[i:])
	l.spans[i] = s
	l.count(s, s.off, s.end(), 1)
}

// count adds (or with a sign of -1 takes away) what s shows in [from, to).
func (l *layer) count(s span, from, to, sign int64) {
	if l.held += sign * s.weight(from, to); s.lent != nil {
		l.lent += sign * s.within(from, to)
	}
}

// cut removes [from, to) from the layer.
func (l *layer) cut(from, to int64) {
	i := l.find(from)
	if i == len(l.spans) || l.spans[i].off >= to {
		return
	}
	for k := i; k < len(l.spans) && l.spans[k].off < to; k++ {
		l.count(l.spans[k], from, to, -1)
	}
	if s := l.spans[i]; s.off < from { // keep its head, and its tail if it reaches beyond
		if s.end() > to {
			tail := s.tail(to)
			if s.buf != nil {
				s.buf.shares++
			}
			l.spans[i].n = from - s.off
			l.spans = append(l.spans, span{})
			copy(l.spans[i+2:], l.spans[i+1:])
			l.spans[i+1] = tail
			return
		}
		l.spans[i].n = from - s.off
		i++
	}
	j := i
	for ; j < len(l.spans) && l.spans[j].end() <= to; j++ {
		l.mem.put(l.spans[j].buf)
	}
	if j < len(l.spans) && l.spans[j].off < to {
		l.spans[j] = l.spans[j].tail(to)
	}
	l.spans = append(l.spans[:i], l.spans[j:]...)
}

// tail is s without what lies before off.
func (s span) tail(off int64) span {
	d := off - s.off
	return span{off: off, n: s.n - d, buf: s.buf, lent: s.lent, at: s.at + d}
}

// truncate drops what lies at size and beyond.
func (l *layer) truncate(size int64) { l.cut(size, 1<<62) }

// drop empties the layer and gives its memory back.
func (l *layer) drop() {
	for _, s := range l.spans {
		l.mem.put(s.buf)
	}
	l.spans, l.held, l.lent = nil, 0, 0
}

// over lays the spans of top over l; top is empty afterwards.
func (l *layer) over(top *layer) {
	for _, s := range top.spans {
		l.put(s)
	}
	top.spans, top.held, top.lent = nil, 0, 0
}

// split leaves about the first n bytes of spans in l and returns the rest.
func (l *layer) split(n int64) layer {
	rest := layer{mem: l.mem}
	held, lent := l.held, l.lent
	l.held, l.lent = 0, 0
	for i, s := range l.spans {
		if l.count(s, s.off, s.end(), 1); l.held >= n && i+1 < len(l.spans) {
			rest.spans = append(rest.spans, l.spans[i+1:]...)
			l.spans = l.spans[: i+1 : i+1]
			rest.held, rest.lent = held-l.held, lent-l.lent
			break
		}
	}
	return rest
}

// visit calls fn for the parts of [off, off+n) in order: with the part of a span, or with what the layer does
// not cover.
func (l *layer) visit(off, n int64, fn func(s span, covered bool)) {
	end := off + n
	for i := l.find(off); off < end; i++ {
		if i == len(l.spans) || l.spans[i].off >= end {
			fn(span{off: off, n: end - off}, false)
			return
		}
		s := l.spans[i]
		if s.off > off {
			fn(span{off: off, n: s.off - off}, false)
			off = s.off
		}
		s = s.tail(off)
		s.n = min(s.n, end-off)
		fn(s, true)
		off += s.n
	}
}
