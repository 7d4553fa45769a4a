package fs

import (
	"context"

	"github.com/shelffs/shelf/internal/errs"
)

// relieve waits until n more bytes of changes may be held in memory.
func (s *saver) relieve(ctx context.Context, n int64) error {
	s.short.Add(1) // before the victims are looked at: what is busy with one looks here when it ends
	defer s.short.Add(-1)
	for {
		s.mu.Lock()
		freed := s.freed
		victims := make([]*inode, 0, len(s.listed))
		for v := range s.listed {
			victims = append(victims, v)
		}
		s.mu.Unlock()
		if s.fs.mem.used.Load()+n <= s.fs.cfg.Limits.Unsaved {
			return nil
		}
		for _, v := range victims {
			v.mu.Lock()
			if f := v.file; f != nil && f.dirty.held > 0 {
				s.enqueue(v, false)
			}
			v.mu.Unlock()
		}
		if s.fs.mem.used.Load()+n <= s.fs.cfg.Limits.Unsaved || len(victims) == 0 {
			return nil
		}
		if err := s.fs.wait(ctx, freed); err != nil {
			return err
		}
		s.mu.Lock()
		err, hopeless := s.failure, s.failures > len(victims)
		s.mu.Unlock()
		if hopeless { // none of the files that fill the memory can be saved
			return err
		}
	}
}

// space refuses what the disk could not take.
func (s *saver) space(n int64) error { return s.spaces.check(n + s.fs.mem.used.Load()) }

// nearlyFull is the room below which it is not taken for granted that what was accepted can be
// saved: sealing takes somewhat more than the bytes, and others write to the disk too.
const nearlyFull = 64 << 20

// inDoubt reports whether what was accepted may find no room or fail otherwise.
func (s *saver) inDoubt() bool {
	if room := s.spaces.room(); room >= 0 && room < nearlyFull+s.fs.mem.used.Load() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch errs.KindOf(s.doubt) {
	case errs.Offline, errs.Timeout: // of old bytes that one file needs: says nothing of others
		return false
	}
	return s.doubt != nil
}
