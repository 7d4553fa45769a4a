package fstest

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"syscall"
	"time"
)

var sparseTests = []test{
	{"BigHole", func(t *T) { // must cost neither time nor space
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		t.ok(f.Truncate(1 << 40))
		t.pwrite(f, 1<<39, []byte("middle"))
		t.ok(f.Sync())
		t.same(t.pread(f, 1<<39-3, 12), []byte("\x00\x00\x00middle\x00\x00\x00"))
		t.same(t.pread(f, 1<<40-5, 100), make([]byte, 5))
		if st := t.stat("/a"); st.Size != 1<<40 {
			t.Fatalf("size %d", st.Size)
		}
	}},
	{"SeekDataHole", func(t *T) {
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		t.pwrite(f, 8<<20, random(1, 1<<20))
		t.ok(f.Truncate(32 << 20))
		t.ok(f.Sync())
		data, err := f.Find(0, false)
		t.ok(err)
		hole, err := f.Find(8<<20, true)
		t.ok(err)
		if data > 8<<20 || data < 8<<20-64<<10 || hole < 9<<20 || hole > 9<<20+64<<10 {
			t.Errorf("data at %d, hole at %d", data, hole)
		}
		_, err = f.Find(16<<20, false)
		t.fails(err, syscall.ENXIO)
		_, err = f.Find(32<<20, true)
		t.fails(err, syscall.ENXIO)
	}},
	{"SeekDense", func(t *T) {
		t.write("/a", string(random(1, 100000)))
		f := t.open("/a", os.O_RDONLY)
		hole, err := f.Find(5, true)
		t.ok(err)
		data, err := f.Find(5, false)
		t.ok(err)
		if hole != 100000 || data != 5 {
			t.Errorf("hole %d, data %d", hole, data)
		}
	}},
	{"BlocksOfHoles", func(t *T) { // du and cp look at them
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		stored := func(path string, from, upto int64) {
			t.Helper()
			var got int64
			for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				if got = t.stat(path).Blocks * 512; got >= from && got <= upto {
					return
				}
			}
			t.Fatalf("%s: %d bytes are stored, want %d to %d", path, got, from, upto)
		}
		t.ok(f.Truncate(1 << 30))
		stored("/a", 0, 0)
		t.pwrite(f, 1<<29, random(1, 4096))
		stored("/a", 4096, 64<<10)
		t.ok(f.Sync())
		stored("/a", 4096, 64<<10)
		t.ok(f.Close())
		stored("/a", 4096, 64<<10)
		t.ok(t.Rename("/a", "/b", Replace))
		stored("/b", 4096, 64<<10)

		t.write("/dense", string(random(2, 4<<20)))
		stored("/dense", 4<<20, 4<<20+64<<10)
		f = t.open("/dense", os.O_RDWR)
		t.ok(f.Allocate(PunchHole|KeepSize, 1<<20, 2<<20))
		t.ok(f.Close())
		stored("/dense", 2<<20, 2<<20+128<<10)
		f = t.open("/dense", os.O_RDWR)
		t.pwrite(f, 1<<20, random(3, 2<<20))
		t.ok(f.Close())
		stored("/dense", 4<<20, 4<<20+64<<10)
	}},
	{"Allocate", func(t *T) {
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		t.pwrite(f, 0, []byte("abc"))
		t.ok(f.Allocate(0, 0, 10))
		t.same(t.pread(f, 0, 99), []byte("abc\x00\x00\x00\x00\x00\x00\x00"))
		t.ok(f.Allocate(KeepSize, 0, 1<<20))
		if st, _ := f.Stat(); st.Size != 10 {
			t.Fatalf("size %d", st.Size)
		}
	}},
	{"PunchHole", func(t *T) {
		want := random(1, 1<<20)
		t.write("/a", string(want))
		f := t.open("/a", os.O_RDWR)
		t.ok(f.Allocate(PunchHole|KeepSize, 1000, 300<<10))
		clear(want[1000 : 1000+300<<10])
		t.same(t.pread(f, 0, 2<<20), want)
		t.ok(f.Sync())
		t.same(t.pread(f, 0, 2<<20), want)
		t.ok(f.Allocate(ZeroRange, 1<<20-10, 20))
		want = append(want, make([]byte, 10)...)
		clear(want[1<<20-10:])
		t.ok(f.Close())
		t.holds("/a", string(want))
	}},
}

// modelTests do random things to a file and compare it with an array.
var modelTests = []test{
	{"Model", func(t *T) {
		for seed := range int64(6) {
			model(t, seed)
		}
	}},
}

func model(t *T, seed int64) {
	rng := rand.New(rand.NewSource(seed))
	name := fmt.Sprint("/m", seed)
	scale := int64(1) << (10 + rng.Intn(13)) // 1 KiB to 4 MiB
	want := []byte{}
	f := t.open(name, os.O_RDWR|os.O_CREATE)
	grow := func(n int64) {
		if int64(len(want)) < n {
			want = append(want, make([]byte, n-int64(len(want)))...)
		}
	}
	for step := range 120 {
		off, n := rng.Int63n(scale), rng.Int63n(scale/2)+1
		if rng.Intn(2) == 0 {
			n = min(n, 5000)
		}
		switch rng.Intn(12) {
		case 0:
			t.ok(f.Truncate(off))
			grow(off)
			want = want[:off]
		case 1:
			t.ok(f.Sync())
		case 2:
			t.ok(f.Close())
			f = t.open(name, os.O_RDWR)
		case 3:
			t.ok(f.Allocate(PunchHole|KeepSize, off, n))
			if off < int64(len(want)) {
				clear(want[off:min(off+n, int64(len(want)))])
			}
		case 4:
			if got := t.pread(f, off, int(n)); !bytes.Equal(got, clip(want, off, n)) {
				t.Fatalf("seed %d step %d: wrong bytes in [%d,+%d)", seed, step, off, n)
			}
		default:
			p := make([]byte, n)
			if rng.Intn(5) > 0 {
				rng.Read(p)
			}
			t.pwrite(f, off, p)
			grow(off + n)
			copy(want[off:], p)
		}
		if st, err := f.Stat(); err != nil || st.Size != int64(len(want)) {
			t.Fatalf("seed %d step %d: size %d, want %d (%v)", seed, step, st.Size, len(want), err)
		}
	}
	t.same(t.pread(f, 0, len(want)+1), want)
	t.ok(f.Close())
	t.holds(name, string(want))
}

func clip(b []byte, off, n int64) []byte {
	size := int64(len(b))
	return b[min(off, size):min(off+n, size)]
}
