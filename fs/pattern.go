package fs

// pattern learns from the reads of one handle how they go on: forwards, backwards or in even strides,
// several of these at once. It is pure: what it says depends on the reads alone.
type pattern struct {
	streams [4]stream // most recently read first
	stride  stride
}

const (
	raSlack = 2 << 20 // a kernel's own read-ahead arrives out of order within this …
	raReads = 8       // … and within so many reads
	raFirst = 1 << 20 // the first window
	raRefit = 8       // a window is filled up when such a part of it is free
	raOpen  = 2 << 20 // how far ahead blocks are opened, not only fetched
	maxHops = 64      // strides that are asked for in advance
)

// advice is what follows from a read.
type advice struct {
	want []extent // to be fetched, nearest first
	open extent   // to be opened, too
	seek bool     // the reader went elsewhere: what was wanted before is not

	alone bool // nothing tells that what lies around will be read as well; not at a file's beginning, where most go on
}

// note takes in a read of a file of size bytes. At most about most bytes are wanted in advance.
func (p *pattern) note(r extent, size, most int64) (a advice) {
	for i := range p.streams {
		s := p.streams[i]
		if !s.accepts(r) {
			continue
		}
		copy(p.streams[1:i+1], p.streams[:i])
		known := s.known
		a.want, a.open = s.note(r, size, most)
		p.streams[0] = s
		if s.known && !known {
			a.seek = true
			for j := range p.streams[1:] { // those that go on after all ask anew
				p.streams[j+1].forget()
			}
		}
		return a
	}
	prev := p.streams[0].first
	copy(p.streams[1:], p.streams[:])
	p.streams[0] = stream{first: r, seen: r}
	a.want = p.stride.note(r, prev, size, most)
	a.seek = len(a.want) > 0 && p.stride.hits == 1
	a.alone = len(a.want) == 0 && r.off > 0
	return a
}

// stream is a part of a file that is read from one end to the other.
type stream struct {
	first  extent // the read that began it
	seen   extent // all reads lie in it
	run    int64  // bytes by which it has grown in its direction, which is
	down   bool   // this one
	known  bool   // something was wanted for it
	asked  int64  // wanted up to there; 0: nothing
	opened int64
}

func (s *stream) forget() { s.asked, s.opened = 0, 0 }

// accepts reports whether a read belongs to the stream: it touches one of its ends, as far as a
// kernel reorders.
func (s *stream) accepts(r extent) bool {
	slack := min(raSlack, raReads*r.len())
	if !s.known { // one read proves nothing
		slack = min(slack, 2*r.len())
	}
	near := func(at, end int64) bool { return at >= end-slack && at <= end+slack }
	return s.seen.end > 0 && (near(r.off, s.seen.end) || near(r.end, s.seen.off))
}

func (s *stream) note(r extent, size, most int64) (want []extent, open extent) {
	up, down := max(r.end-s.seen.end, 0), max(s.seen.off-r.off, 0)
	if up+down == 0 {
		return nil, extent{} // within what was read
	}
	if s.down != (down > 0) { // it turned
		s.down, s.run = down > 0, 0
		s.forget()
	}
	s.seen = extent{min(s.seen.off, r.off), max(s.seen.end, r.end)}
	s.run += up + down
	window := min(max(2*(s.run+s.first.len()), raFirst), most)
	e := s.above(window, size)
	if s.down {
		e = s.below(window)
	}
	if e.len() > 0 {
		want, s.known = []extent{e}, true
	}
	return want, s.next(size)
}

// above is what is not yet wanted of a window before a reader who goes up.
func (s *stream) above(window, size int64) extent {
	from, to := max(s.asked, s.seen.end), min(s.seen.end+window, size)
	if to <= from || to-from < window/raRefit && to < size {
		return extent{}
	}
	s.asked = to
	return extent{from, to}
}

// below is the same for one who goes down.
func (s *stream) below(window int64) extent {
	end := s.seen.off
	if s.asked > 0 {
		end = min(end, s.asked)
	}
	from := max(s.seen.off-window, 0)
	if end <= from || end-from < window/raRefit && from > 0 {
		return extent{}
	}
	s.asked = max(from, 1)
	return extent{from, end}
}

// next is what a reader who goes up is about to reach.
func (s *stream) next(size int64) extent {
	from, to := max(s.opened, s.seen.end), min(s.seen.end+raOpen, size)
	if s.down || to <= from || to-from < raOpen/raRefit && to < size {
		return extent{}
	}
	s.opened = to
	return extent{from, to}
}

// stride is an even step from read to read, over what lies between.
type stride struct {
	step  int64
	hits  int   // how often in a row it was seen again
	asked int64 // so many steps from the last read on are wanted already
}

// note takes in a read that continues no stream, after prev.
func (t *stride) note(r, prev extent, size, most int64) (want []extent) {
	step := r.off - prev.off
	if prev.end == 0 || step != t.step {
		*t = stride{step: step}
		return nil
	}
	t.hits++
	t.asked = max(t.asked-1, 0)
	hops := min(int64(2)<<min(t.hits, 16), maxHops, max(most/max(r.len(), 1), 1))
	if hops-t.asked < max(hops/raRefit, 1) {
		return nil
	}
	for k := t.asked + 1; k <= hops; k++ {
		h := extent{r.off + k*step, min(r.end+k*step, size)}
		if h.off < 0 || h.len() <= 0 {
			break
		}
		want, t.asked = append(want, h), k
	}
	return want
}
