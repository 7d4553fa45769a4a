package fs

import (
	"time"
)

// quietLoop commits files that are held open but rest.
func (s *saver) quietLoop() {
	for {
		select {
		case <-s.fs.ctx.Done():
			return
		case <-s.quiet:
		}
		for t := time.NewTicker(max(s.fs.cfg.Limits.Quiet/4, time.Millisecond)); ; {
			select {
			case <-s.fs.ctx.Done():
				t.Stop()
				return
			case <-t.C:
			}
			if !s.lookForQuiet() {
				t.Stop()
				break
			}
		}
	}
}

// busyFor is after how many quiet times a file that never rests is committed all the same.
const busyFor = 10

// ago reports whether a time lies so long before now. One after now does: the clock was put back.
func ago(at, long, now int64) bool { return now-at >= long || at > now }

// lookForQuiet reports whether any file has changes.
func (s *saver) lookForQuiet() bool {
	s.mu.Lock()
	all := make([]*inode, 0, len(s.listed))
	for n := range s.listed {
		all = append(all, n)
	}
	s.mu.Unlock()
	now, quiet := s.fs.now(), int64(s.fs.cfg.Limits.Quiet)
	for _, n := range all {
		n.mu.Lock()
		if f := n.file; f != nil && f.touched && !f.resting && n.gone == nil && (ago(f.changed, quiet, now) || ago(f.since, busyFor*quiet, now)) {
			f.want = true
			s.enqueue(n, false)
		}
		n.mu.Unlock()
	}
	return len(all) > 0
}
