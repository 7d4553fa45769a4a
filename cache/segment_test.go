package cache

import (
	"testing"
	"time"
)

// slowDisk takes its time to sync.
type slowDisk struct {
	disk
	begun, end chan struct{}
}

type slowFile struct {
	segFile
	d slowDisk
}

func (d slowDisk) Create(no uint32) (segFile, error) {
	f, err := d.disk.Create(no)
	return slowFile{f, d}, err
}

func (f slowFile) Datasync() error {
	f.d.begun <- struct{}{}
	<-f.d.end
	return f.segFile.Datasync()
}

// A sync answers for what another one has taken on and not finished: compaction syncs the segments, too.
func TestSyncWaitsForAnother(t *testing.T) {
	d := slowDisk{newMemDisk(), make(chan struct{}), make(chan struct{})}
	ss := newSegments(d, segmentSize)
	sg, _, err := ss.alloc(recordAlign)
	must(t, err)
	ss.wrote(sg)
	ss.done(sg)
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- ss.sync() }()
	<-d.begun
	go func() { second <- ss.sync() }()
	select {
	case <-second:
		t.Error("a sync returned before what was written is durable")
	case <-time.After(50 * time.Millisecond):
	}
	close(d.end)
	must(t, <-first)
	if !t.Failed() {
		must(t, <-second)
	}
	ss.close()
}
