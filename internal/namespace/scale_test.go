package namespace

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/gc"
)

// BenchmarkScale shows how time and space grow with the number of files in a share:
//
//	go test ./internal/namespace -run none -bench Scale -benchtime 1x -timeout 1h
//
// (-bench Scale/^100000$ for one size.) In folders of 1,000 files: a first sync of all of it
// between two replicas on this machine's disk, the size of a store then and when it has come to
// rest, opening it again, catching up with 1,000 changes, and renaming the folder that holds
// everything. Peak memory is that of the process, and so of both replicas, during the first sync.
//
// In the first sync one side works after the other, the frames kept in a file between, so that
// each can be charged with its own. Times of the processor are those of the whole process, user
// and system, with garbage and what the stores do in the background, and say more than the clock
// where others work, too. sent/cpu-s are records for each second of the processor that the sender
// takes to read and seal them into frames; merged/cpu-s what the receiver takes to verify, open,
// merge and store them, until it claims all; synced/cpu-s both together. What the receiver's store
// does later, to come to rest, is cpu-s/to-rest.
//
// The limits, for a million files: s/first-sync 60, MiB-peak 400, rest-B/file 300, ms/open 1000,
// ms/1000-changes 1000, ms/rename 100 (of 100,000), merged/cpu-s 100,000.
func BenchmarkScale(b *testing.B) {
	gc.Tune() // as a daemon does
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				scale(b, n)
			}
		})
	}
}

func scale(b *testing.B, files int) {
	w := newWorld(b, 1, 0)
	a := benchAdd(b, w, "a", -1)
	top := mkdir(b, a.Replica, Root, "top").ID
	var dirs []NodeID
	began := time.Now()
	for i := range files {
		if i%1000 == 0 { // a replica that nobody lets sync keeps all its writes in memory
			must(0, a.Sync(b.Context()))
			dirs = append(dirs, mkdir(b, a.Replica, top, fmt.Sprint("dir", i/1000)).ID)
		}
		mkfile(b, a.Replica, dirs[len(dirs)-1], fmt.Sprintf("IMG_%06d.JPG", i), i+1)
	}
	must(0, a.Sync(b.Context()))
	b.ReportMetric(time.Since(began).Seconds(), "s/create")

	c := benchAdd(b, w, "c", 0)
	atRest(a) // or it would come to rest at the other's expense
	forgetPeak()
	began = time.Now()
	moved := transfer(b, c, a)
	b.ReportMetric(time.Since(began).Seconds(), "s/first-sync")
	b.ReportMetric((moved.sending + moved.merging).Seconds(), "cpu-s/first-sync")
	b.ReportMetric(float64(peakMemory())/(1<<20), "MiB-peak")
	b.ReportMetric(float64(moved.records)/moved.sending.Seconds(), "sent/cpu-s")
	b.ReportMetric(float64(moved.records)/moved.merging.Seconds(), "merged/cpu-s")
	b.ReportMetric(float64(moved.records)/(moved.sending+moved.merging).Seconds(), "synced/cpu-s")
	b.ReportMetric(float64(moved.bytes)/float64(files), "wire-B/file")
	must(0, c.db.Sync())
	b.ReportMetric(float64(c.db.Metrics().DiskBytes)/float64(files), "store-B/file")
	busy := processor()
	b.ReportMetric(float64(atRest(c))/float64(files), "rest-B/file")
	b.ReportMetric((processor() - busy).Seconds(), "cpu-s/to-rest")

	for i := range 1000 {
		must(a.Commit(must(a.Lookup(dirs[i%len(dirs)], fmt.Sprintf("IMG_%06d.JPG", i%len(dirs)*1000+i/len(dirs)))).ID, nil, content(1<<30+i), Now))
	}
	must(0, a.Sync(b.Context()))
	began = time.Now()
	moved = transfer(b, c, a)
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/1000-changes")
	b.ReportMetric(float64(moved.bytes)/1000, "wire-B/change")

	_, _, err := a.Rename(Root, "top", Root, "renamed", RenameReplace)
	must(0, err)
	began = time.Now()
	transfer(b, c, a)
	must(c.Lookup(Root, "renamed"))
	b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms/rename")

	dir := c.dir
	c.close()
	began = time.Now()
	c = benchOpen(b, c, dir, 0)
	must(c.Lookup(Root, "renamed"))
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/open")
	a.close()
	c.close()
	runtime.GC()
}

// atRest waits until a store has come to rest and returns its size.
func atRest(d *device) (n int64) {
	for since, last := time.Now(), int64(-1); time.Since(since) < 25*time.Second; time.Sleep(time.Second) {
		if n = d.db.Metrics().DiskBytes; n != last {
			since, last = time.Now(), n
		}
	}
	return n
}

type moved struct {
	bytes, records   int
	sending, merging time.Duration // of the processor
}

// transfer is a whole session: first one side makes all frames, then the other applies them.
func transfer(b *testing.B, dst, src *device) (m moved) {
	spool := must(os.Create(filepath.Join(b.TempDir(), "frames")))
	defer spool.Close()
	began := processor()
	hear(b, dst, src)
	d := must(src.Since(b.Context(), dst.Hello(src.id())))
	var ends []int
	for {
		f, err := d.Next()
		if err == io.EOF {
			break
		}
		must(0, err)
		m.bytes += must(spool.Write(f))
		ends = append(ends, m.bytes)
	}
	m.records = d.Records()
	must(0, d.Close())
	m.sending = processor() - began

	began = processor()
	at := 0
	for _, end := range ends {
		f := make([]byte, end-at)
		must(spool.ReadAt(f, int64(at)))
		must(0, dst.Apply(b.Context(), src.id(), f))
		at = end
	}
	must(dst.Complete(b.Context(), src.id(), d.End()))
	m.merging = processor() - began
	return m
}

// forgetPeak lets peakMemory begin anew, where the system can.
func forgetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// peakMemory is the most that this process has held, in bytes; 0 where the system cannot say.
func peakMemory() int {
	status, _ := os.ReadFile(filepath.Join("/proc/self/status"))
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb << 10
		}
	}
	return 0
}
