package sim

// store is where a device has the bytes of files. A write is durable after a flush, as on any
// disk; what was not flushed is gone after a crash.
type store struct {
	durable, cached map[int]bool
	fuse            int // the power fails amid so many further writes; 0: never
}

func newStore() store { return store{durable: map[int]bool{}, cached: map[int]bool{}} }

func (s *store) crash() { clear(s.cached); s.fuse = 0 }

// put makes the blocks of a content durable, as the filesystem does before it commits a record
// that names them. False: the power failed before they were.
func (d *device) put(c int) bool {
	s := &d.store
	if s.durable[c] {
		return true
	}
	s.cached[c] = true
	if s.fuse > 0 {
		if s.fuse--; s.fuse == 0 {
			d.w.stats.Met["power failures before a flush"]++
			d.crash(d.keep)
			return false
		}
	}
	delete(s.cached, c)
	s.durable[c] = true
	return true
}

// saved: whatever a device shows, its bytes are durable on somebody's disk (invariant 21).
func (w *world) saved(d *device) {
	for _, x := range d.view().items {
		c := contentOf(&x.entry)
		found := c == 0
		for _, s := range w.stores {
			found = found || s.durable[c]
		}
		if !found {
			w.fail("no record without its blocks", "%q %+v", x.path, x.entry)
		}
	}
}
