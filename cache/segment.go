package cache

import (
	"errors"
	"io/fs"
	"sync"

	"github.com/shelffs/shelf/internal/errs"
)

const (
	segmentSize  = 64 << 20 // a new segment begins when the next record would pass this
	maxOpenFiles = 256
)

// segment is one file of records. Its fields are guarded by segments.mu.
type segment struct {
	no   uint32
	f    segFile // nil while not open
	refs int     // users of f
	dead bool    // to be removed when refs falls to 0
	busy int     // records allocated whose rows are not committed yet: not to be removed
}

// segments are all segment files and the one that grows. allocMu (held over the making of a
// file) comes before mu (never held over IO).
type segments struct {
	disk disk
	size int64 // segmentSize, less in tests

	allocMu sync.Mutex
	active  *segment
	end     int64 // of the active one
	nextNo  uint32

	mu    sync.Mutex
	all   map[uint32]*segment
	dirty map[*segment]struct{} // written to since the last sync; their files stay open
	open  int
	fresh bool // a file was made since the last sync of the directory

	syncing sync.Mutex // held by the sync that runs: another waits, for some of what it answers for is under way there
}

func newSegments(d disk, size int64) *segments {
	return &segments{disk: d, size: size, all: map[uint32]*segment{}, dirty: map[*segment]struct{}{}, nextNo: 1}
}

// alloc finds room for n bytes. The segment comes with its file in use and busy: write, then
// done.
func (ss *segments) alloc(n int64) (*segment, int64, error) {
	ss.allocMu.Lock()
	defer ss.allocMu.Unlock()
	if ss.active == nil || ss.end > 0 && ss.end+n > ss.size {
		if err := ss.begin(); err != nil {
			return nil, 0, err
		}
	}
	sg, off := ss.active, ss.end
	if err := ss.use(sg); err != nil {
		return nil, 0, err
	}
	ss.end += n
	ss.mu.Lock()
	sg.busy++
	ss.mu.Unlock()
	return sg, off, nil
}

// wrote notes that the segment needs a sync. It comes after the write and before the row that
// names the record, so that a sync which sees the row also sees the segment.
func (ss *segments) wrote(sg *segment) {
	ss.mu.Lock()
	ss.dirty[sg] = struct{}{}
	ss.mu.Unlock()
}

// begin makes a new active segment; allocMu is held.
func (ss *segments) begin() error {
	no := ss.nextNo
	f, err := ss.disk.Create(no)
	if err != nil {
		return errs.FromOS("cache.alloc", "segment", err)
	}
	ss.nextNo++
	sg := &segment{no: no, f: f}
	ss.mu.Lock()
	ss.all[no] = sg
	ss.open++
	ss.fresh = true
	ss.mu.Unlock()
	ss.active, ss.end = sg, 0
	ss.trimOpen()
	return nil
}

// done ends what alloc began.
func (ss *segments) done(sg *segment) {
	ss.mu.Lock()
	sg.busy--
	ss.mu.Unlock()
	ss.release(sg)
}

// acquire opens a segment for reading; NotExist if there is none. release must follow.
func (ss *segments) acquire(no uint32) (*segment, error) {
	ss.mu.Lock()
	sg := ss.all[no]
	ss.mu.Unlock()
	if sg == nil {
		return nil, errs.E("cache.segment", errs.NotExist, "", nil)
	}
	return sg, ss.use(sg)
}

// use counts a user of the file, opening it if need be; on error nothing is counted.
func (ss *segments) use(sg *segment) error {
	ss.mu.Lock()
	if sg.dead {
		ss.mu.Unlock()
		return errs.E("cache.segment", errs.NotExist, "", nil)
	}
	sg.refs++
	if sg.f != nil {
		ss.mu.Unlock()
		return nil
	}
	ss.mu.Unlock()

	f, err := ss.disk.Open(sg.no)
	ss.mu.Lock()
	switch {
	case sg.f != nil: // somebody was faster; err does not matter any more
		ss.mu.Unlock()
		if err == nil {
			_ = f.Close()
		}
		return nil
	case err != nil:
		ss.mu.Unlock()
		ss.release(sg)
		kind := errs.Other
		if errors.Is(err, fs.ErrNotExist) {
			kind = errs.NotExist
		}
		return errs.E("cache.segment", kind, "", err)
	}
	sg.f = f
	ss.open++
	ss.mu.Unlock()
	ss.trimOpen()
	return nil
}

func (ss *segments) release(sg *segment) {
	ss.mu.Lock()
	sg.refs--
	var f segFile
	gone := sg.dead && sg.refs == 0
	if gone {
		f = ss.dropFile(sg)
	}
	ss.mu.Unlock()
	if gone {
		ss.removeFile(sg, f)
	}
}

// dropFile takes the open file from a segment; mu is held.
func (ss *segments) dropFile(sg *segment) segFile {
	f := sg.f
	if f != nil {
		sg.f = nil
		ss.open--
	}
	return f
}

func (ss *segments) removeFile(sg *segment, f segFile) {
	if f != nil {
		_ = f.Close()
	}
	_ = ss.disk.Remove(sg.no) // what stays is removed by the next Open
}

// trimOpen closes a file that nobody uses when too many are open. Which one is left to the
// order of the map: any.
func (ss *segments) trimOpen() {
	ss.mu.Lock()
	var f segFile
	if ss.open > maxOpenFiles {
		for _, sg := range ss.all {
			if _, dirty := ss.dirty[sg]; sg.f != nil && sg.refs == 0 && !dirty {
				f = ss.dropFile(sg)
				break
			}
		}
	}
	ss.mu.Unlock()
	if f != nil {
		_ = f.Close()
	}
}

// quiet reports whether no records are added to the segment any more.
func (ss *segments) quiet(no uint32) bool {
	ss.allocMu.Lock()
	defer ss.allocMu.Unlock()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	sg := ss.all[no]
	return sg != nil && sg != ss.active && sg.busy == 0
}

// activeNo is the segment that grows, 0 if there is none.
func (ss *segments) activeNo() uint32 {
	ss.allocMu.Lock()
	defer ss.allocMu.Unlock()
	if ss.active == nil {
		return 0
	}
	return ss.active.no
}

// remove deletes a quiet segment once its readers have left.
func (ss *segments) remove(no uint32) {
	ss.mu.Lock()
	sg := ss.all[no]
	if sg == nil {
		ss.mu.Unlock()
		return
	}
	delete(ss.all, no)
	delete(ss.dirty, sg)
	sg.dead = true
	var f segFile
	gone := sg.refs == 0
	if gone {
		f = ss.dropFile(sg)
	}
	ss.mu.Unlock()
	if gone {
		ss.removeFile(sg, f)
	}
}

// sync makes everything written so far durable.
func (ss *segments) sync() error {
	ss.syncing.Lock()
	defer ss.syncing.Unlock()
	ss.mu.Lock()
	var work []*segment
	for sg := range ss.dirty {
		sg.refs++
		work = append(work, sg)
	}
	clear(ss.dirty)
	fresh := ss.fresh
	ss.fresh = false
	ss.mu.Unlock()

	var err error
	for _, sg := range work {
		if err == nil {
			err = ss.syncOne(sg)
		}
		ss.release(sg)
	}
	if err == nil && fresh {
		err = ss.disk.SyncDir()
	}
	return err
}

func (ss *segments) syncOne(sg *segment) error {
	ss.mu.Lock()
	f := sg.f
	ss.mu.Unlock()
	if f == nil { // a dirty segment's file is not closed
		return errs.E("cache.Sync", errs.Other, "segment is not open", nil)
	}
	return f.Datasync()
}

func (ss *segments) close() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, sg := range ss.all {
		if f := ss.dropFile(sg); f != nil {
			_ = f.Close()
		}
	}
}

func (ss *segments) count() int {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return len(ss.all)
}
