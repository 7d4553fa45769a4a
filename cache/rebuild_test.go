package cache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kdf"
	"github.com/shelffs/shelf/internal/kv"
)

func fillSome(t *testing.T, s *Store) (bs []blocks.Sealed) {
	t.Helper()
	for i := range 30 {
		b := block(uint64(i), 30<<10+i)
		bs = append(bs, b)
		switch i % 3 {
		case 0:
			must(t, s.PutBlock(bg, b))
		case 1:
			must(t, s.Own(Owner{Pin, node(1)}, b.Digest))
			must(t, s.Own(Owner{Hold, node(2)}, b.Digest))
			must(t, s.PutBlock(bg, b))
		case 2:
			must(t, s.Stage(bg, node(3), b))
		}
	}
	must(t, s.Own(Owner{Pin, node(4)}, block(99, 1).Digest)) // not here
	must(t, s.Close())
	return bs
}

// spoil changes rows of a closed store's index past their seals' knowledge: it deletes them or
// writes other bytes under their keys.
func spoil(t *testing.T, dir string, change func(db *kv.DB, b *kv.Batch)) {
	t.Helper()
	db, err := kv.Open(filepath.Join(dir, "index"), kdf.Derive(testMaster[:], kdf.CacheDB), kv.Options{Ballast: -1})
	must(t, err)
	b := db.Batch()
	change(db, b)
	must(t, b.Commit(kv.Sync))
	must(t, db.Close())
}

func checkSome(t *testing.T, s *Store, bs []blocks.Sealed) {
	t.Helper()
	for i, b := range bs {
		wantBytes(t, s, b)
		wantClass(t, s, []Class{Fetched, Pinned, Staged}[i%3], b.Digest)
	}
	audit(t, s)
}

func TestDamagedIndexIsCountedAnew(t *testing.T) {
	for name, change := range map[string]func(*kv.DB, *kv.Batch){
		"totals gone":         func(db *kv.DB, b *kv.Batch) { _ = b.Delete(db.Key(tabTotals)) },
		"totals unreadable":   func(db *kv.DB, b *kv.Batch) { _ = b.Set(db.Key(tabTotals), []byte("?")) },
		"segments unreadable": func(db *kv.DB, b *kv.Batch) { _ = b.Set(db.Key(tabSegment, kv.U64(1)), []byte("?")) },
		"queues gone": func(db *kv.DB, b *kv.Batch) {
			_ = b.DeletePrefix(db.Key(tabQueue))
			_ = b.Delete(db.Key(tabTotals))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			bs := fillSome(t, open(t, dir, Options{}))
			spoil(t, dir, change)
			s := open(t, dir, Options{})
			checkSome(t, s, bs)
			must(t, s.DisownAll(Owner{Pin, node(1)}))
			must(t, s.DisownAll(Owner{Hold, node(2)}))
			must(t, s.Close())
			s = open(t, dir, Options{})
			wantClass(t, s, Fetched, bs[1].Digest)
			audit(t, s)
		})
	}
}

func TestUnreadableRowsAreLostAlone(t *testing.T) {
	dir := t.TempDir()
	bs := fillSome(t, open(t, dir, Options{}))
	spoil(t, dir, func(db *kv.DB, b *kv.Batch) {
		for _, i := range []int{0, 1, 5} {
			_ = b.Set(db.Key(tabBlock, kv.Plain(bs[i].Digest[:])), []byte("garbage"))
		}
	})
	var reports int
	o := Options{OnCorrupt: func(blocks.Digest, Class) { reports++ }}
	s := open(t, dir, o)
	if _, err := s.GetBlock(bg, bs[0].Digest); !errs.Is(err, errs.NotExist) {
		t.Errorf("unreadable row: %v", err)
	}
	must(t, s.PutBlock(bg, bs[0]))
	wantBytes(t, s, bs[0])
	must(t, s.Own(Owner{Pin, node(9)}, bs[1].Digest))
	must(t, s.Drop(bg, bs[5].Digest))
	if reports != 3 {
		t.Errorf("%d reports", reports)
	}
	for i, b := range bs {
		if i != 1 && i != 5 {
			wantBytes(t, s, b)
		}
	}
	must(t, s.Close())
	s = open(t, dir, o) // counts anew
	audit(t, s)
	for i, b := range bs {
		if i != 1 && i != 5 {
			wantBytes(t, s, b)
		}
	}
}

// Without its index the store reads the segments, and lets nothing go before somebody says so.
func TestIndexGone(t *testing.T) {
	dir := t.TempDir()
	bs := fillSome(t, open(t, dir, Options{}))
	overwrite(t, segmentFiles(t, dir)[0], 5000, []byte("damage in the first block"))
	must(t, os.RemoveAll(filepath.Join(dir, "index")))
	s := open(t, dir, Options{})
	wantClass(t, s, None, bs[0].Digest)
	for _, b := range bs[1:] {
		wantBytes(t, s, b)
		wantClass(t, s, Staged, b.Digest)
	}
	audit(t, s)
	must(t, s.DisownAll(Recovered()))
	wantClass(t, s, Fetched, digests(bs[1:])...)
	must(t, s.Close())
	s = open(t, dir, Options{})
	wantBytes(t, s, bs[7])
	audit(t, s)
}

func TestDamagedIndexFilesAreAnError(t *testing.T) {
	dir := t.TempDir()
	_ = fillSome(t, open(t, dir, Options{}))
	names, err := filepath.Glob(filepath.Join(dir, "index", "MANIFEST-*"))
	must(t, err)
	for _, n := range names {
		must(t, os.Truncate(n, 10))
	}
	if _, err := Open(dir, testMaster, Options{}); !errs.Is(err, errs.Corrupt) {
		t.Errorf("Open: %v", err)
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add(row{form: formSegment, size: 1000, seg: 1, off: 4096, staged: 1}.append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRow(b); err == nil && string(r.append(nil)) != string(b) {
			t.Errorf("%x is read as %+v", b, r)
		}
	})
}

func FuzzWalk(f *testing.F) {
	b := block(1, 100)
	f.Add(append(appendHeader(nil, b.Digest, 100), b.Bytes...))
	f.Add(make([]byte, 10000))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newMemDisk()
		file := &memFile{d: d, data: data}
		last := int64(-1)
		err := walk(file, int64(len(data)), func(x found) (bool, error) {
			if x.off <= last || x.off%recordAlign != 0 || x.off+recordHeader+int64(x.n) > int64(len(data)) {
				t.Errorf("record %+v in %d bytes after %d", x, len(data), last)
			}
			last = x.off
			return true, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
