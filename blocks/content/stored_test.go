package content

import "testing"

// Of a file whose manifests are several it is known how much is no hole, as long as they are in memory.
func TestStoredOfSeveralManifests(t *testing.T) {
	const stripes, data, hole = 700, 80 << 10, 240 << 10
	b := make([]byte, stripes*(data+hole))
	want := uint64(0)
	for i := range stripes {
		copy(b[i*(data+hole):], random(uint64(i), data))
	}
	m := newMemory()
	tree, _ := store(t, m, empty(t, m), whole(b))
	for _, r := range refs(t, tree) {
		if !r.IsHole() {
			want += r.Length
		}
	}
	if c := tree.Content(); c.Depth != 2 || want < stripes*data || want >= c.Size {
		t.Fatalf("depth %d, %d of %d bytes", c.Depth, want, c.Size)
	}
	check := func(what string, tree *Tree) {
		t.Helper()
		if n, ok := tree.Stored(); !ok || n != want {
			t.Errorf("%s: %d bytes (%v), want %d", what, n, ok, want)
		}
	}
	check("as it was made", tree)
	anew := func() *Tree {
		t.Helper()
		other, err := Load(t.Context(), m, testSealer(), tree.Content())
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := other.Stored(); ok {
			t.Error("known though nothing was read")
		}
		return other
	}
	other := anew()
	refs(t, other)
	check("read", other)
	part := anew()
	if _, err := part.At(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, ok := part.Stored(); ok {
		t.Error("known though one manifest was read")
	}
}
