package fs

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/namespace"
)

func sweepOrder(n int, size uint64) (order, []namespace.NodeID, []blocks.Digest) {
	all := make([]namespace.DirEntry, n)
	ids, roots := make([]namespace.NodeID, n), make([]blocks.Digest, n)
	for i := range all {
		ids[i], roots[i] = namespace.NodeID{byte(i >> 8), byte(i), 2}, blocks.Sum(fmt.Append(nil, i))
		all[i].ID, all[i].Content = ids[i], blocks.Content{Root: roots[i], Size: size}
	}
	return newOrder(all), ids, roots
}

// Of a directory read in order only the first files are not asked for in advance, each is asked for once,
// and never too much at a time.
func TestSweepInOrder(t *testing.T) {
	for _, size := range []uint64{100, 4096, 100 << 10, 3 << 20} {
		o, ids, roots := sweepOrder(2000, size)
		asked := map[blocks.Digest]int{}
		late, calls := 0, 0
		for i, id := range ids {
			if asked[roots[i]] == 0 {
				late++
			}
			ds := o.next(id)
			if len(ds) > 0 {
				calls++
			}
			if most := sweepBytes/int(min(size, sweepFirstBlock)) + 1; len(ds) > min(most, sweepMost) {
				t.Fatalf("%d files of %d bytes at once", len(ds), size)
			}
			for _, d := range ds {
				asked[d.Root]++
			}
		}
		if late > 4 {
			t.Errorf("files of %d bytes: %d were not asked for", size, late)
		}
		if calls > 2000/8 {
			t.Errorf("files of %d bytes: %d batches", size, calls)
		}
		for d, n := range asked {
			if n > 1 {
				t.Fatalf("%v was asked for %d times", d, n)
			}
		}
	}
}

// Where somebody picks files here and there, hardly anything is asked for.
func TestSweepAtRandom(t *testing.T) {
	o, ids, _ := sweepOrder(2000, 4096)
	r := rand.New(rand.NewPCG(1, 1))
	asked := 0
	for range 1000 {
		asked += len(o.next(ids[r.IntN(len(ids))]))
	}
	if asked > 100 {
		t.Errorf("%d files were asked for in vain", asked)
	}
}

// Some files may be left out, as by who looks only at pictures.
func TestSweepWithGaps(t *testing.T) {
	o, ids, roots := sweepOrder(2000, 4096)
	asked := map[blocks.Digest]bool{}
	read, late := 0, 0
	for i := 0; i < len(ids); i += 1 + i%3 {
		if read++; !asked[roots[i]] {
			late++
		}
		for _, d := range o.next(ids[i]) {
			asked[d.Root] = true
		}
	}
	if late > 4 {
		t.Errorf("%d of %d were not asked for", late, read)
	}
}

// However many directories are gone through at once, only so many are watched, and only so many files of them are listed:
// the latest.
func TestSweepsAreBounded(t *testing.T) {
	s := &sweeps{dirs: map[namespace.NodeID]*sweep{}}
	listed := func() (files int) {
		for _, w := range s.dirs {
			files += len(w.orders[0].files)
		}
		return files
	}
	for i := range 100 {
		w := s.beginLocked(namespace.NodeID{byte(i)}, int64(i))
		s.listedLocked(w, []order{{files: make([]upcoming, 10)}})
	}
	if len(s.dirs) != sweepDirs || s.dirs[namespace.NodeID{99}] == nil || s.dirs[namespace.NodeID{100 - sweepDirs}] == nil {
		t.Errorf("%d directories are watched", len(s.dirs))
	}
	for i := range 100 {
		w := s.beginLocked(namespace.NodeID{byte(i), 1}, int64(100+i))
		s.listedLocked(w, []order{{files: make([]upcoming, sweepFiles)}})
		if listed() > sweepListed || s.dirs[namespace.NodeID{byte(i), 1}] != w {
			t.Fatalf("%d files are listed, of %d directories", listed(), len(s.dirs))
		}
	}
	if listed() < sweepListed/2 {
		t.Errorf("%d files are listed", listed())
	}
}
