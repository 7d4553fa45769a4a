package fs

import (
	"context"
)

// relieve waits until n more bytes of changes may be held in memory.
func (s *saver) relieve(ctx context.Context, n int64) error {
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
