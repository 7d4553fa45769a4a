//go:build linux

package scenario

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// kill -9 at random moments of a write workload: whatever an fsync promised is there after it, and in the end.
func TestKilledDaemonKeepsItsPromises(t *testing.T) {
	t.Parallel()
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	d := newDevice(t, "crash").up()
	rng := rand.New(rand.NewPCG(1, 2))
	promised := map[string][]byte{}
	for round := range rounds {
		stop := make(chan struct{})
		done := make(chan map[string][]byte)
		go func() { done <- writeUntilBroken(d, rng.Uint64(), round, stop) }()
		time.Sleep(time.Duration(rng.IntN(120)) * time.Millisecond)
		d.kill()
		close(stop)
		fresh := <-done
		maps.Copy(promised, fresh)
		d.up()
		if round == rounds-1 {
			fresh = promised
		}
		for name, data := range fresh {
			got, err := os.ReadFile(d.path(name))
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("round %d: %s: %v; %d bytes, promised %d", round, name, err, len(got), len(data))
			}
		}
	}
	if len(promised) < rounds/2 {
		t.Errorf("only %d files were promised in %d rounds: the test does not bite", len(promised), rounds)
	}
	t.Logf("%d rounds, %d files promised and found", rounds, len(promised))
}

// writeUntilBroken writes and fsyncs files until the mount breaks; it returns what fsync answered for.
func writeUntilBroken(d *device, seed uint64, round int, stop chan struct{}) map[string][]byte {
	ok := map[string][]byte{}
	for i := 0; ; i++ {
		select {
		case <-stop:
			return ok
		default:
		}
		name := fmt.Sprintf("r%d-%d", round, i)
		data := random(seed+uint64(i), 1+int(seed>>8+uint64(i)*7919)%400_000)
		f, err := os.Create(d.path(name))
		if err != nil {
			return ok
		}
		_, err = f.Write(data)
		if err == nil {
			err = f.Sync()
		}
		if err == nil {
			ok[name] = data
		}
		_ = f.Close()
	}
}
