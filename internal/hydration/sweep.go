package hydration

import (
	"time"

	"github.com/shelffs/shelf/internal/namespace"
)

// A program sweeps when it brings as many files and as many bytes within a minute: more than a build,
// git status or a look at a folder of photos takes. The order of the files is not looked at: programs
// sweep by names, by inodes and on several threads.
const (
	sweepFiles = 64
	sweepBytes = 256 << 20
	sweepTime  = time.Minute
	sweepTold  = time.Hour // how long it is told of
)

// sweep watches one run.
type sweep struct {
	begun time.Time
	files map[namespace.NodeID]struct{} // at most sweepFiles
	bytes int64
	found bool
	when  time.Time
}

// note tells of bytes to be brought; it reports whether the run sweeps, once.
func (s *sweep) note(id namespace.NodeID, bytes int64, now time.Time) bool {
	if s.found || bytes == 0 {
		return false
	}
	if now.Sub(s.begun) >= sweepTime || s.files == nil {
		*s = sweep{begun: now, files: map[namespace.NodeID]struct{}{}}
	}
	s.bytes += bytes
	if len(s.files) < sweepFiles {
		s.files[id] = struct{}{}
	}
	if len(s.files) < sweepFiles || s.bytes < sweepBytes {
		return false
	}
	s.found, s.when, s.files = true, now, nil
	return true
}
