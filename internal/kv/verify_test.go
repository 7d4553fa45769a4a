package kv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/internal/errs"
)

// Whatever is damaged in a store so that reading it would fail, Verify finds; it changes no file.
func TestVerify(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	db := open(t, dir, Options{Ballast: -1})
	for i := range 300 {
		set(t, db, db.Key('r', U64(uint64(i))), fmt.Sprintf("%0500d", i))
	}
	if err := db.engine.(*disk).p.Flush(); err != nil {
		t.Fatal(err)
	}
	set(t, db, db.Key('s'), "in the log")
	b := db.Batch()
	_ = b.Mark(db.Key('m')) // a row without a seal
	if err := b.Commit(Sync); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	verify := func() error { return Verify(context.Background(), dir, testMaster, Options{Ballast: -1}) }

	before := listing(t, dir)
	if err := verify(); err != nil {
		t.Errorf("a whole store: %v", err)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("it has written:\n%s\nwas\n%s", after, before)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no tables", err)
	}
	for _, path := range tables {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{len(whole) / 10, len(whole) / 2} { // in rows
			bad := append([]byte(nil), whole...)
			bad[at] ^= 0x40
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := verify(); !errs.Is(err, errs.Corrupt) {
				t.Errorf("%s, byte %d: %v", filepath.Base(path), at, err)
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Verify(ended, dir, testMaster, Options{}); err != nil {
		t.Errorf("its time is over, which is no damage: %v", err)
	}
	if err := Verify(context.Background(), "none", testMaster, Options{FS: vfs.NewMem()}); !errs.Is(err, errs.NotExist) {
		t.Errorf("no store: %v", err)
	}
}

// listing is what would tell that somebody wrote into dir. The engine opens its lock for writing.
func listing(t *testing.T, dir string) (out string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Name() != "LOCK" {
			out += fmt.Sprintln(e.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return out
}
