package cache

import (
	"os"
	"path/filepath"
	"testing"
)

// A record that a crash tore has a good header that claims more than was written, so the next
// record begins inside its claim. Looking for dead ranges must not skip over that one.
func TestRecordAfterATornOneLives(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	first := block(1, 100<<10)
	must(t, s.Stage(bg, node(1), first))
	must(t, s.Sync(bg))
	must(t, s.Close())

	tear(t, dir, 2, 40<<10) // too little for anybody to look for dead ranges at the next start
	s = open(t, dir, Options{})
	must(t, s.Stage(bg, node(3), block(3, 200<<10), block(4, 500<<10), block(5, 600<<10)))
	must(t, s.Sync(bg))
	must(t, s.Close())

	tear(t, dir, 6, 300<<10) // now they are looked for
	s = open(t, dir, Options{})
	for b, want := range map[uint64]int{1: 100 << 10, 3: 200 << 10, 4: 500 << 10, 5: 600 << 10} {
		got, err := s.GetBlock(bg, block(b, want).Digest)
		if err != nil || len(got.Bytes) != want {
			t.Errorf("block %d: %v", b, err)
		}
	}
	if n := s.Stats().Corrupt; n != 0 {
		t.Errorf("%d blocks damaged", n)
	}
}

// tear appends the beginning of a record of 900 KiB to the only segment, as a killed process leaves it.
func tear(t *testing.T, dir string, seed uint64, written int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "segments", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("segments: %v, %v", files, err)
	}
	f, err := os.OpenFile(files[0], os.O_WRONLY, 0)
	must(t, err)
	end, err := f.Seek(0, 2)
	must(t, err)
	b := block(seed, 900<<10)
	_, err = f.WriteAt(append(appendHeader(nil, b.Digest, len(b.Bytes)), b.Bytes[:written]...), (end+recordAlign-1)&^(recordAlign-1))
	must(t, err)
	must(t, f.Close())
}

// What a power cut took from the end of a segment is freed, and what comes next lies there: it must not
// be given back to the disk afterwards.
func TestWhatIsLostAtTheEndDoesNotTakeWhatFollows(t *testing.T) {
	dir, after := t.TempDir(), t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.Stage(bg, node(1), block(1, 100<<10)))
	must(t, s.Sync(bg))
	must(t, s.Stage(bg, node(2), block(2, 900<<10)))
	must(t, s.db.Sync()) // its row is durable, by the index's own doing
	must(t, os.CopyFS(after, os.DirFS(dir)))
	must(t, s.Close())
	must(t, os.Truncate(segmentFiles(t, after)[0], recordLen(100<<10)))

	s = open(t, after, Options{})
	wantClass(t, s, None, block(2, 900<<10).Digest)
	must(t, s.Stage(bg, node(3), block(3, 800<<10)))
	must(t, s.Sync(bg))
	s.reclaim()
	wantBytes(t, s, block(1, 100<<10))
	wantBytes(t, s, block(3, 800<<10))
	must(t, s.Close())
}
