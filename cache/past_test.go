package cache

import (
	"encoding/binary"
	"testing"

	"github.com/shelffs/shelf/blocks"
)

// fill puts blocks of 100 KiB that nobody owns.
func fill(t *testing.T, s *Store, from, n int) (ds []blocks.Digest) {
	t.Helper()
	for i := range n {
		b := block(uint64(from+i), 100<<10)
		must(t, s.PutBlock(bg, b))
		ds = append(ds, b.Digest)
	}
	return ds
}

// What is past goes after what is fetched, oldest first, and never before it is needed; what is
// kept for anything else stays.
func TestPastGoesLast(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Limit: 4 << 20})
	past := fill(t, s, 0, 12)
	for i := range past { // not in the order of arrival
		must(t, s.Own(Owner{History, node(byte(i / 4))}, past[len(past)-1-i]))
	}
	wantClass(t, s, Past, past...)
	kept := fill(t, s, 100, 4)
	must(t, s.Own(Owner{Pin, node(1)}, kept...))
	must(t, s.Own(Owner{History, node(1)}, kept...))
	wantClass(t, s, Pinned, kept...)
	if st := s.Stats(); st.Past != 12*recordLen(100<<10) || st.Fetched != 0 {
		t.Errorf("%+v", st)
	}
	fill(t, s, 1000, 200) // a film goes through
	wantClass(t, s, Past, past...)
	audit(t, s)
	must(t, s.Close())
	s = open(t, dir, Options{Limit: 4 << 20})
	wantClass(t, s, Past, past...)
	for range 3 { // that they are read changes nothing
		for _, d := range past[6:] {
			_, err := s.GetBlock(bg, d)
			must(t, err)
		}
	}
	// pins take the room: the cache is empty first, then the past goes, the oldest first
	var pinned []blocks.Digest
	for i := range 20 {
		b := block(uint64(5000+i), 100<<10)
		must(t, s.Own(Owner{Pin, node(2)}, b.Digest))
		must(t, s.PutBlock(bg, b))
		pinned = append(pinned, b.Digest)
	}
	wantClass(t, s, Pinned, append(pinned, kept...)...)
	cs, err := s.Has(past...)
	must(t, err)
	left := 0
	for i, c := range cs { // the last of past was owned first
		if c == Past {
			left++
		} else if i < left {
			t.Errorf("%d is gone before older ones: %v", i, cs)
		}
	}
	if left == len(past) {
		t.Errorf("nothing past has gone: %+v", s.Stats())
	}
	audit(t, s)
	// what comes back is past again, as long as it is owned so
	gone := past[len(past)-1]
	wantClass(t, s, None, gone)
	must(t, s.Disown(Owner{Pin, node(2)}, pinned...))
	must(t, s.PutBlock(bg, block(11, 100<<10)))
	wantClass(t, s, Past, gone)
	must(t, s.DisownAll(Owner{History, node(0)}))
	wantClass(t, s, Fetched, gone)
	audit(t, s)
}

// A long history leaves half of the room to the cache.
func TestPastLeavesACache(t *testing.T) {
	s := open(t, t.TempDir(), Options{Limit: 4 << 20})
	for i := range 60 {
		d := fill(t, s, i, 1)
		must(t, s.Own(Owner{History, node(1)}, d...))
	}
	if st := s.Stats(); st.Past < 3<<20 {
		t.Errorf("room is left unused: %+v", st)
	}
	fill(t, s, 1000, 40)
	if st := s.Stats(); st.Past > 2<<20+200<<10 || st.Past < 1<<20 {
		t.Errorf("%+v", st)
	}
	audit(t, s)
}

// The first format of the totals had no such class.
func TestTotalsOfTheFirstFormat(t *testing.T) {
	want := totals{NextSeq: 99}
	b := []byte{1}
	for i := range 4 + 4 + 3 + 3 + 1 {
		b = binary.BigEndian.AppendUint64(b, uint64(i+1))
	}
	for i := range 4 {
		want.Bytes[i], want.Blocks[i] = int64(i+1), int64(i+5)
	}
	for i := range 3 {
		want.QueueBytes[i], want.Head[i] = int64(i+9), uint64(i+12)
	}
	want.NextSeq = 15
	got, err := parseTotals(b)
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if again, err := parseTotals(got.append(nil)); err != nil || again != got {
		t.Errorf("%+v, %v", again, err)
	}
}
