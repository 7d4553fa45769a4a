package cache

import (
	"bytes"
	"os"
	"testing"
)

// What is written once is there, also where the system has no way for it, which is asked for once only.
func TestWriteOnce(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/dev/shm"} { // no memory of the second is a disk's
		if dir, err := os.MkdirTemp(dir, "shelf"); err != nil {
			t.Log("left out:", err)
		} else {
			defer os.RemoveAll(dir)
			d := newOSDisk(dir)
			f, err := d.Create(1)
			must(t, err)
			defer f.Close()
			var want []byte
			for i := range 4 {
				head, p := bytes.Repeat([]byte{byte(i + 11)}, recordHeader), bytes.Repeat([]byte{byte(i + 1)}, 300<<10)
				if err := f.WriteBoth(head, p, int64(len(want)), i < 3); err != nil {
					t.Fatal(dir, err)
				}
				want = append(append(want, head...), p...)
			}
			got := make([]byte, len(want))
			if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: other bytes are there than were written: %v", dir, err)
			}
			must(t, f.Datasync())
			t.Log(dir, "keeps:", d.keep.Load())
		}
	}
}
