package fstest

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var (
	killRounds = flag.Int("kill.rounds", 6, "how often TestKill kills the process that serves the mount")
	killSeed   = flag.Uint64("kill.seed", uint64(time.Now().UnixNano()), "of TestKill")
)

// TestKill kills the process that serves a mount while programs work there, again and again. What
// fsync, fdatasync, O_SYNC and the sync of a directory promised is there afterwards; of the rest a
// file has a state that it once had, whole, and no older one than was promised.
func TestKill(t *testing.T) {
	t.Logf("-kill.seed %d", *killSeed)
	dir := t.TempDir()
	var writers []*writer
	for i := range 4 {
		w := newWriter(fmt.Sprint("writer", i), rand.New(rand.NewPCG(*killSeed, uint64(i))), 1<<20)
		w.pieces = true
		writers = append(writers, w)
	}
	dice := rand.New(rand.NewPCG(*killSeed, 1000))
	acts := 0
	for round := range *killRounds {
		c := mountedAt(t, dir)
		checkAll(t, round, OS(c.mnt), writers)
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() { w.work(math.MaxInt) })
		}
		time.Sleep(time.Duration(20+dice.IntN(400)) * time.Millisecond)
		c.kill()
		wg.Wait()
		for _, w := range writers {
			acts += w.acts
			w.acts = 0
		}
	}
	c := mountedAt(t, dir)
	checkAll(t, *killRounds, OS(c.mnt), writers)
	t.Logf("%d rounds, %d changes", *killRounds, acts)
	if acts < 10**killRounds {
		t.Errorf("only %d changes in %d rounds", acts, *killRounds)
	}
}
