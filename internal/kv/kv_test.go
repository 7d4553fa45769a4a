package kv

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

var testMaster = [32]byte{1, 2, 3}

func open(t testing.TB, dir string, o Options) *DB {
	t.Helper()
	db, err := Open(dir, testMaster, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// everyEngine runs a test over each engine; open opens its store, again after a Close.
func everyEngine(t *testing.T, test func(t *testing.T, open func() *DB)) {
	t.Run("disk", func(t *testing.T) {
		dir := t.TempDir()
		test(t, func() *DB { return open(t, dir, Options{}) })
	})
	t.Run("memory", func(t *testing.T) {
		m := NewMemory()
		test(t, func() *DB {
			db, err := OpenMemory(m)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			return db
		})
	})
}

func set(t testing.TB, db *DB, k Key, v string) {
	t.Helper()
	b := db.Batch()
	_ = b.Set(k, []byte(v))
	if err := b.Commit(NoSync); err != nil {
		t.Fatal(err)
	}
}

func scan(t testing.TB, r Reader, rg Range) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.ScanRange(rg, func(k Key, v []byte) bool {
		fmt.Fprintf(&out, "%s=%s ", k[1:], v)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRowsLiveThroughReopening(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		k := db.Key('n', Plain([]byte("id")), Hidden([]byte("name")), U64(7))
		if len(k) != 1+2+16+8 {
			t.Fatalf("key of %d bytes", len(k))
		}
		set(t, db, k, "value")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Get(k); !errs.Is(err, errs.Closed) {
			t.Errorf("after Close: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		db = open()
		if v, err := db.Get(k); err != nil || string(v) != "value" {
			t.Errorf("Get = %q, %v", v, err)
		}
		if !bytes.Equal(k, db.Key('n', Plain([]byte("id")), HiddenString("name"), U64(7))) {
			t.Error("keys differ after reopening, or HiddenString from Hidden")
		}
		if _, err := db.Get(db.Key('n', Plain([]byte("no")))); !errs.Is(err, errs.NotExist) {
			t.Errorf("absent row: %v", err)
		}
	})
}

func TestScans(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		for _, k := range []string{"a", "ab", "abc", "b", "c"} {
			set(t, db, db.Key('t', Plain([]byte(k))), "v"+k)
		}
		set(t, db, db.Key('u', Plain([]byte("x"))), "other table")
		key := func(s string) Key { return db.Key('t', Plain([]byte(s))) }
		for _, c := range []struct {
			name string
			r    Range
			want string
		}{
			{"all", Range{Prefix: key("")}, "a=va ab=vab abc=vabc b=vb c=vc "},
			{"prefix", Range{Prefix: key("ab")}, "ab=vab abc=vabc "},
			{"from", Range{Prefix: key(""), From: key("abb")}, "abc=vabc b=vb c=vc "},
			{"from a row", Range{Prefix: key(""), From: key("b")}, "b=vb c=vc "},
			{"after a row", Range{Prefix: key(""), From: key("b"), After: true}, "c=vc "},
			{"reverse", Range{Prefix: key(""), Reverse: true}, "c=vc b=vb abc=vabc ab=vab a=va "},
			{"reverse from", Range{Prefix: key(""), From: key("ab"), Reverse: true}, "ab=vab a=va "},
			{"reverse after", Range{Prefix: key(""), From: key("ab"), Reverse: true, After: true}, "a=va "},
			{"from before the prefix", Range{Prefix: key("b"), From: key("a")}, "b=vb "},
			{"from beyond the prefix", Range{Prefix: key("b"), From: key("c")}, ""},
			{"reverse from beyond", Range{Prefix: key("b"), From: key("c"), Reverse: true}, "b=vb "},
			{"keys", Range{Prefix: key("a"), KeysOnly: true}, "a= ab= abc= "},
			{"none", Range{Prefix: key("z")}, ""},
		} {
			if got := scan(t, db, c.r); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	})
}

func TestBatchSeesItsOwnWrites(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		k := func(s string) Key { return db.Key('t', Plain([]byte(s))) }
		set(t, db, k("a"), "old")
		set(t, db, k("b"), "old")
		b := db.Batch()
		_ = b.Set(k("a"), []byte("new"))
		_ = b.Delete(k("b"))
		_ = b.Set(k("c"), []byte("new"))
		if got := scan(t, b, Range{Prefix: k("")}); got != "a=new c=new " {
			t.Errorf("inside: %q", got)
		}
		if got := scan(t, db, Range{Prefix: k("")}); got != "a=old b=old " {
			t.Errorf("outside: %q", got)
		}
		s, err := db.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := b.Commit(Sync); err != nil {
			t.Fatal(err)
		}
		if got := scan(t, db, Range{Prefix: k("")}); got != "a=new c=new " {
			t.Errorf("after: %q", got)
		}
		if got := scan(t, s, Range{Prefix: k("")}); got != "a=old b=old " {
			t.Errorf("snapshot: %q", got)
		}
		b = db.Batch()
		_ = b.DeletePrefix(k("a"))
		if ok, _ := b.Has(k("a")); ok {
			t.Error("row under a deleted prefix is there")
		}
		if err := b.Commit(NoSync); err != nil {
			t.Fatal(err)
		}
		if got := scan(t, db, Range{Prefix: k("")}); got != "c=new " {
			t.Errorf("after DeletePrefix: %q", got)
		}
	})
}
