package blocks

import "testing"

func TestLent(t *testing.T) {
	back := 0
	b := Lend(Sum([]byte("x")), []byte("x"), func() { back++ })
	if b.Verify() != nil {
		t.Error("another block")
	}
	b.Hold()
	for range 2 {
		if back != 0 {
			t.Error("it went back while somebody held it")
		}
		b.Done()
	}
	if back != 1 {
		t.Errorf("it went back %d times", back)
	}
	own := New([]byte("y"))
	own.Hold()
	own.Done() // is nobody's but its holders'
}
