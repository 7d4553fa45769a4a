package cache

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

const childEnv = "SHELF_CACHE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func killOptions() Options {
	o := Options{Limit: 6 << 20, DiskFloor: -1}
	o.fault.segment = 1 << 20
	o.fault.db.Ballast = -1
	return o
}

func killBlock(i uint64) blocks.Sealed { return block(i, int(i*7919%120000)) }

// child stages, puts, settles and syncs until it is killed, and says what was synced.
func child(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	s, err := Open(dir, testMaster, killOptions())
	fail(err)
	first, _ := strconv.ParseUint(os.Getenv(childEnv+"_FIRST"), 10, 64)
	rng := rand.New(rand.NewPCG(first, 5))
	fmt.Println("begun")
	for i := first; ; i++ {
		n := node(byte(i % 3))
		fail(s.Stage(bg, n, killBlock(i)))
		for range rng.IntN(4) {
			if err := s.PutBlock(bg, block(rng.Uint64()|1<<63, rng.IntN(150000))); !errs.Is(err, errs.NoSpace) {
				fail(err)
			}
		}
		if rng.IntN(3) == 0 {
			fail(s.Settle(map[[16]byte][]blocks.Digest{n: {killBlock(i).Digest, killBlock(i - 3).Digest, killBlock(i - 6).Digest, killBlock(i - 9).Digest}}))
		}
		if rng.IntN(3) == 0 {
			fail(s.Sync(bg))
			fmt.Println(i)
		}
		if rng.IntN(20) == 0 {
			s.compact(bg)
		}
		if i%16 == 15 { // let the limit bite: all but the newest go
			for _, n := range []byte{0, 1, 2} {
				fail(s.DisownAll(Owner{Written, node(n)}))
				fail(s.DisownAll(Owner{Writing, node(n)}))
			}
			fail(s.Sync(bg))
			fmt.Println("reset", i)
		}
	}
}

// kill -9 at random moments: what was synced is there, nothing is reported as damaged, the
// sums hold, and the next run goes on from there.
func TestKill(t *testing.T) {
	exe, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(42, 42))
	next := uint64(100)
	for round := range 8 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childEnv+"="+dir, childEnv+"_FIRST="+fmt.Sprint(next))
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		first, last, begun := next, next-1, make(chan struct{})
		read := make(chan struct{})
		go func() {
			defer close(read)
			first, last = follow(t, out, first, begun)
		}()
		<-begun
		time.Sleep(time.Duration(20+rng.IntN(120)) * time.Millisecond)
		must(t, cmd.Process.Kill())
		<-read
		_ = cmd.Wait()

		o := killOptions()
		o.OnCorrupt = func(d blocks.Digest, was Class) { t.Errorf("round %d: %v block reported", round, was) }
		s, err := Open(dir, testMaster, o)
		must(t, err)
		for i := first; i <= last; i++ {
			wantBytes(t, s, killBlock(i))
		}
		must(t, s.BeginRound(time.Now()))
		res, err := s.Scrub(bg, 0)
		if err != nil || res.Bad != 0 {
			t.Errorf("round %d: scrub %+v, %v", round, res, err)
		}
		audit(t, s)
		for _, k := range []Kind{Writing, Written} {
			for n, err := range s.Owners(k) {
				must(t, err)
				must(t, s.DisownAll(Owner{k, n}))
			}
		}
		must(t, s.Close())
		if t.Failed() {
			return
		}
		next += 10000
	}
	s, err := Open(dir, testMaster, killOptions())
	must(t, err)
	defer s.Close()
	s.reclaim()
	if got, st := diskUsage(t, dir), s.Stats(); got > st.Fetched+st.Staged+st.Pinned+int64(st.Segments)*64<<10 {
		t.Errorf("%d on the disk for %+v", got, st)
	}
}

// follow reads what a child says until it ends: the range of blocks that are staged and synced.
func follow(t *testing.T, out io.Reader, next uint64, begun chan struct{}) (first, last uint64) {
	first, last = next, next-1
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		var n uint64
		switch line := sc.Text(); {
		case line == "begun":
			close(begun)
			begun = nil
		case len(line) > 6 && line[:6] == "reset ":
			n, _ = strconv.ParseUint(line[6:], 10, 64)
			first = n + 1
			last = max(last, n)
		default:
			n, err := strconv.ParseUint(line, 10, 64)
			if err != nil {
				t.Errorf("child: %s", line)
			}
			last = n
		}
	}
	if begun != nil {
		close(begun)
	}
	return first, last
}
