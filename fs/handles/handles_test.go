package handles

import "testing"

func TestTable(t *testing.T) {
	var h Table[string]
	a, b := h.Put("a"), h.Put("b")
	if v, ok := h.Get(a); !ok || v != "a" || a == 0 || a == b {
		t.Fatal(v, ok, a, b)
	}
	if v, ok := h.Take(a); !ok || v != "a" {
		t.Fatal(v, ok)
	}
	for _, i := range []uint64{a, 0, 99, ^uint64(0)} {
		if _, ok := h.Get(i); ok {
			t.Errorf("handle %d is open", i)
		}
		if _, ok := h.Take(i); ok {
			t.Errorf("handle %d was taken", i)
		}
	}
	if c := h.Put("c"); c != a {
		t.Errorf("number %d, want %d again", c, a)
	}
	n := 0
	h.Drain(func(string) { n++ })
	if _, ok := h.Get(b); ok || n != 2 {
		t.Errorf("drained %d", n)
	}
}
