package fs

import "time"

// A kernel hands over many a write(2) in several requests. A version of the file that is saved between two
// of them would show half a write to other devices, and after a crash. Which request is the last is not
// told, but all others have a size that tells them (WriteFlags.More). So no version is saved after
// such a one as long as the next is near, unless somebody waits for it; and who goes on like this for as long
// as a file may go unsaved has it saved all the same.

// partGap is how long a next request is waited for: a program's memory may have to be brought first.
const partGap = 100 * time.Millisecond

// notePart notes a write that is about to be touched. n.mu is held.
func (fs *FS) notePart(f *file, more bool) {
	now := fs.now()
	switch {
	case !more:
		f.parts = 0
	case f.parts == 0 || now-f.changed >= int64(partGap):
		f.parts = now
	}
}

// midway reports whether f may be in the middle of a write(2), and is to be saved a little later. n.mu is held.
func (fs *FS) midway(f *file) bool {
	if f.parts == 0 || f.writers == 0 || f.waiters > 0 {
		return false
	}
	now := fs.now()
	near := f.n.writes.Load() > 0 || now-f.changed < int64(partGap)
	return near && now-f.parts < busyFor*int64(fs.cfg.Limits.Quiet)
}

// postpone has a file that is midway looked at again. n.mu is held.
func (s *saver) postpone(n *inode) {
	f := n.file
	f.queued = true
	s.fs.table.repin(n)
	time.AfterFunc(rest, func() {
		n.mu.Lock()
		if n.file == f && f.queued {
			f.queued = false
			s.enqueue(n, false)
		}
		n.mu.Unlock()
		s.fs.table.unpin(n)
	})
}
