package cache

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/kv"
)

var (
	testMaster = [32]byte{4, 5, 6}
	bg         = context.Background()
)

// block makes a block of n random bytes, always the same for one seed.
func block(seed uint64, n int) blocks.Sealed {
	b := make([]byte, n)
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(b)
	return blocks.New(b)
}

func node(n byte) [16]byte { return [16]byte{n} }

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	if o.DiskFloor == 0 {
		o.DiskFloor = -1
	}
	o.fault.db.Ballast, o.fault.db.FreeFloor = -1, -1
	s, err := Open(dir, testMaster, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantClass(t testing.TB, s *Store, want Class, ds ...blocks.Digest) {
	t.Helper()
	got, err := s.Has(ds...)
	must(t, err)
	for i, c := range got {
		if c != want {
			t.Errorf("block %d %s is %v, want %v", i, ds[i].Short(), c, want)
		}
	}
}

func wantBytes(t testing.TB, s *Store, b blocks.Sealed) {
	t.Helper()
	got, err := s.GetBlock(bg, b.Digest)
	if err != nil {
		t.Errorf("GetBlock: %v", err)
	} else if string(got.Bytes) != string(b.Bytes) || got.Digest != b.Digest {
		t.Errorf("GetBlock: other bytes")
	}
}

// audit compares the totals, queues, owner counts and segment sums with the rows they are the
// sums of.
func audit(t testing.TB, s *Store) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	want := totals{Head: s.t.Head, NextSeq: s.t.NextSeq}
	segs := map[uint32]int64{}
	queued := 0
	rows := map[blocks.Digest]row{}
	must(t, s.eachRow(func(d blocks.Digest, r row) error {
		rows[d] = r
		if c := r.class(); c != None {
			want.Bytes[c] += r.charge()
			want.Blocks[c]++
		}
		wrong := r.queue != queueNone
		switch r.class() {
		case Fetched:
			wrong = r.queue != queueYoung && r.queue != queueOld
		case Past:
			wrong = r.queue != queuePast
		}
		if wrong {
			t.Errorf("audit: %v block in queue %d", r.class(), r.queue)
		}
		if r.queue != queueNone {
			want.QueueBytes[r.queue] += r.charge()
			queued++
			v, err := s.db.Get(s.queueKey(r.queue, r.seq))
			if err != nil || blocks.Digest(v) != d {
				t.Errorf("audit: queue row of %s: %v", d.Short(), err)
			}
		}
		if r.form == formSegment {
			segs[r.seg] += r.charge()
		}
		return nil
	}))
	if s.t != want {
		t.Errorf("audit: totals %+v\nwant %+v", s.t, want)
	}
	for no, sum := range s.segSums {
		if sum.live != segs[no] {
			t.Errorf("audit: segment %d has %d live, want %d", no, sum.live, segs[no])
		}
		delete(segs, no)
	}
	if len(segs) > 0 {
		t.Errorf("audit: segments without a sum: %v", segs)
	}
	must(t, s.db.ScanKeys(s.db.Key(tabQueue), func(kv.Key) bool { queued--; return true }))
	if queued != 0 {
		t.Errorf("audit: %d queue rows missing or too many", queued)
	}
	counts := map[blocks.Digest][3]uint32{}
	must(t, s.db.ScanKeys(s.db.Key(tabOwner), func(k kv.Key) bool {
		d := blocks.Digest(k[18:])
		c := counts[d]
		switch kind := Kind(k[1]); {
		case (Owner{Kind: kind}).stages():
			c[0]++
		case kind == History:
			c[2]++
		default:
			c[1]++
		}
		counts[d] = c
		return true
	}))
	for d, r := range rows {
		if counts[d] != [3]uint32{r.staged, r.pinned, r.past} {
			t.Errorf("audit: %s counts %d staging, %d pinning and %d past owners, has %v", d.Short(), r.staged, r.pinned, r.past, counts[d])
		}
		delete(counts, d)
	}
	if len(counts) > 0 {
		t.Errorf("audit: %d owned blocks have no row", len(counts))
	}
}

// diskUsage is what the segments really take, in bytes.
func diskUsage(t testing.TB, dir string) (n int64) {
	t.Helper()
	infos, err := newOSDisk(filepath.Join(dir, "segments")).List()
	must(t, err)
	for _, i := range infos {
		n += i.allocated
	}
	return n
}

func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	must(t, err)
	return files
}

func overwrite(t testing.TB, file string, off int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt(b, off)
	must(t, err)
	must(t, f.Close())
}
