package cache

// Stats are figures for status and tests. Bytes are bytes of disk: records with their headers,
// rounded up to 4096.
type Stats struct {
	Limit                                     int64
	Used                                      int64 // Fetched + Pinned + Staged + Past + what is admitted or freed but not settled yet
	Fetched, Pinned, Staged, Past             int64
	FetchedBlocks, PinnedBlocks, StagedBlocks int64
	IndexBytes                                int64 // of the index, small blocks included
	Segments                                  int
	Corrupt                                   int64 // copies dropped since Open because they failed their check
	Lost                                      int64 // copies that a crash before their sync took, found by Open
	Evictions                                 int64 // blocks evicted since Open
}

// Stats returns the present figures.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	st := Stats{
		Limit: s.limit, Used: s.used(),
		Fetched: s.t.Bytes[Fetched], Pinned: s.t.Bytes[Pinned], Staged: s.t.Bytes[Staged], Past: s.t.Bytes[Past],
		FetchedBlocks: s.t.Blocks[Fetched], PinnedBlocks: s.t.Blocks[Pinned], StagedBlocks: s.t.Blocks[Staged],
	}
	s.mu.Unlock()
	st.Corrupt, st.Lost, st.Evictions = s.corrupt.Load(), s.lost.Load(), s.evictions.Load()
	st.IndexBytes = s.db.Metrics().DiskBytes
	st.Segments = s.segs.count()
	return st
}

// Full reports whether the disk leaves no room for what is written.
func (s *Store) Full() bool {
	return s.db.Metrics().Full || s.o.DiskFloor > 0 && s.diskFree() < s.o.DiskFloor
}

// DiskRoom is how many bytes of class c the disk can take now: what it has above its floor, and
// what eviction gives back. The limit is another matter, and does not bind Staged.
func (s *Store) DiskRoom(c Class) int64 {
	floor := max(s.o.DiskFloor, 0)
	if c != Staged {
		floor *= 2
	}
	free := s.diskFree() - floor
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, free-s.reserved+s.pending+s.t.Bytes[Fetched]+s.t.Bytes[Past])
}

// used is what counts against the limit; s.mu is held.
func (s *Store) used() int64 { return s.t.all() + s.reserved + s.pending }

// SetLimit changes the limit. Fetched blocks above it go soon.
func (s *Store) SetLimit(bytes int64) {
	s.mu.Lock()
	s.limit = bytes
	s.mu.Unlock()
	s.wake()
}
