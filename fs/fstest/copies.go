package fstest

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"syscall"
)

// copyAll copies n bytes by calls that may copy less at once.
func copyAll(dst File, off int64, src File, from, n int64) error {
	for n > 0 {
		m, err := dst.CopyFrom(src, off, from, n)
		if err != nil {
			return err
		}
		if m == 0 {
			return fmt.Errorf("copying ends %d bytes too early", n)
		}
		off, from, n = off+m, from+m, n-m
	}
	return nil
}

func (t *T) copy(dst File, off int64, src File, from, n int64) {
	t.Helper()
	t.ok(copyAll(dst, off, src, from, n))
}

var copyTests = []test{
	{"Copy", func(t *T) {
		want := random(1, 3<<20)
		t.write("/a", string(want))
		a, b := t.open("/a", os.O_RDWR), t.open("/b", os.O_RDWR|os.O_CREATE)
		t.ok(a.Sync())
		t.copy(b, 0, a, 0, int64(len(want)))
		t.same(t.pread(b, 0, 4<<20), want)
		if st := t.stat("/b"); st.Size != int64(len(want)) {
			t.Errorf("size %d", st.Size)
		}
		// What becomes of the original is nothing to the copy, and the other way round.
		t.pwrite(a, 1<<20, random(2, 100))
		t.pwrite(b, 2<<20, random(3, 100))
		other := bytes.Clone(want)
		copy(other[1<<20:], random(2, 100))
		copy(want[2<<20:], random(3, 100))
		for range 2 {
			t.same(t.pread(a, 0, 4<<20), other)
			t.same(t.pread(b, 0, 4<<20), want)
			t.ok(a.Sync())
			t.ok(b.Sync())
		}
		t.ok(a.Close())
		t.ok(t.Unlink("/a"))
		t.same(t.pread(b, 0, 4<<20), want)
		t.ok(b.Close())
		t.holds("/b", string(want))
	}},
	{"CopyMovesTimes", func(t *T) {
		t.write("/a", string(random(1, 100_000)))
		t.write("/b", "")
		t.ok(t.Utimes("/b", 1, 1))
		was := t.stat("/b")
		a, b := t.open("/a", os.O_RDONLY), t.open("/b", os.O_WRONLY)
		t.copy(b, 0, a, 0, 100_000)
		t.ok(b.Close())
		if st := t.stat("/b"); st.Mtime == 1 || st.Ctime <= was.Ctime {
			t.Errorf("mtime %d, ctime %d, was %d", st.Mtime, st.Ctime, was.Ctime)
		}
	}},
	{"CopyOfPartsAndBeyond", func(t *T) {
		body := random(1, 2<<20)
		t.write("/a", string(body))
		a, b := t.open("/a", os.O_RDWR), t.open("/b", os.O_RDWR|os.O_CREATE)
		t.copy(b, 1<<20+3, a, 777, 1<<20) // over the end: a hole comes before
		want := append(make([]byte, 1<<20+3), body[777:777+1<<20]...)
		t.same(t.pread(b, 0, 4<<20), want)
		t.copy(b, 0, a, 5, 10)
		copy(want, body[5:15])
		t.copy(b, 100, b, 1<<20+100, 1<<19) // within one file
		copy(want[100:], want[1<<20+100:1<<20+100+1<<19])
		t.same(t.pread(b, 0, 4<<20), want)
		t.ok(b.Sync())
		t.same(t.pread(b, 0, 4<<20), want)

		n, err := b.CopyFrom(a, 0, 2<<20-7, 1000)
		t.ok(err)
		if n != 7 {
			t.Errorf("%d bytes before the end", n)
		}
		n, err = b.CopyFrom(a, 0, 2<<20, 1000)
		t.ok(err)
		if n != 0 {
			t.Errorf("%d bytes behind the end", n)
		}
		_, err = b.CopyFrom(b, 50, 0, 100)
		t.fails(err, syscall.EINVAL)
	}},
	{"CopyOfHoles", func(t *T) { // must cost neither time nor space
		a, b := t.open("/a", os.O_RDWR|os.O_CREATE), t.open("/b", os.O_RDWR|os.O_CREATE)
		t.ok(a.Truncate(1 << 36))
		t.pwrite(a, 1<<35, []byte("middle"))
		t.ok(a.Sync())
		for off := int64(0); off < 1<<36; off += 1 << 30 {
			if off == 1<<35 {
				t.copy(b, off, a, off, 1<<30)
			}
		}
		t.same(t.pread(b, 1<<35-3, 12), []byte("\x00\x00\x00middle\x00\x00\x00"))
		t.ok(b.Sync())
		t.same(t.pread(b, 1<<35-3, 12), []byte("\x00\x00\x00middle\x00\x00\x00"))
		if st := t.stat("/b"); st.Size != 1<<35+1<<30 {
			t.Errorf("size %d", st.Size)
		}
	}},
	{"CopyModel", func(t *T) {
		for seed := range int64(4) {
			copyModel(t, seed)
		}
	}},
}

// copyModel writes, copies and cuts some files at random and compares them with arrays.
func copyModel(t *T, seed int64) {
	rng := rand.New(rand.NewSource(seed))
	var files [3]File
	var want [3][]byte
	for i := range files {
		files[i] = t.open(fmt.Sprintf("/f%d-%d", seed, i), os.O_RDWR|os.O_CREATE)
	}
	grow := func(i, size int) { want[i] = append(want[i], make([]byte, max(0, size-len(want[i])))...) }
	for step := range 60 {
		i, j := rng.Intn(len(files)), rng.Intn(len(files))
		off, n := rng.Intn(3<<20), 1+rng.Intn(1<<(10+rng.Intn(11)))
		switch rng.Intn(6) {
		case 0:
			t.pwrite(files[i], int64(off), random(seed*1000+int64(step), n))
			grow(i, off+n)
			copy(want[i][off:], random(seed*1000+int64(step), n))
		case 1:
			t.ok(files[i].Truncate(int64(off)))
			grow(i, off)
			want[i] = want[i][:off:off]
		case 2:
			t.ok(files[i].Sync())
		default:
			from := rng.Intn(len(want[j]) + 1)
			n = min(n, len(want[j])-from)
			if rng.Intn(3) == 0 && len(want[j]) < 8<<20 {
				from, n = 0, len(want[j])
			}
			if i == j && off < from+n && from < off+n {
				continue
			}
			t.copy(files[i], int64(off), files[j], int64(from), int64(n))
			if n > 0 {
				grow(i, off+n)
				copy(want[i][off:], want[j][from:from+n])
			}
		}
		if step%10 == 9 {
			for i := range files {
				if !bytes.Equal(t.pread(files[i], 0, len(want[i])+1), want[i]) {
					t.Fatalf("seed %d, step %d: file %d differs", seed, step, i)
				}
			}
		}
	}
	for i := range files {
		t.ok(files[i].Close())
		t.holds(fmt.Sprintf("/f%d-%d", seed, i), string(want[i]))
	}
}
