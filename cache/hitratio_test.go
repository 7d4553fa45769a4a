package cache

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/internal/kv"
)

var updateGolden = flag.Bool("update", false, "write testdata/hitratios.golden anew")

// kvMem is an index in memory.
func kvMem() kv.Options { return kv.Options{FS: vfs.NewMem()} }

// score is what a policy made of a trace.
type score struct {
	reads, hits         int64
	bytes, hitBytes     int64
	missBytes, distinct int64
}

func play(tr trace, p policy) (s score) {
	seen := endless{}
	for _, a := range tr.reads {
		n := int64(a.size)
		s.reads++
		s.bytes += n
		if p.read(a) {
			s.hits++
			s.hitBytes += n
		} else {
			s.missBytes += n
		}
		if !seen.read(a) {
			s.distinct += n
		}
	}
	return s
}

func (s score) ratio() float64     { return 100 * float64(s.hits) / float64(s.reads) }
func (s score) byteRatio() float64 { return 100 * float64(s.hitBytes) / float64(s.bytes) }

// extra is what was fetched again, in hundredths of what had to be fetched once.
func (s score) extra() float64 { return 100 * (float64(s.missBytes)/float64(s.distinct) - 1) }

func policies(t testing.TB, limit int64) []policy {
	return []policy{newShelf(t, limit), newLRU(limit), newARC(limit), newS3FIFO(limit), endless{}}
}

var policyNames = [...]string{"shelf", "LRU", "ARC", "S3-FIFO", "no limit"}

// Bounds of TestHitRatios, in points of the ratio by requests.
const (
	drift     = 0.5 // of the store's from the golden figures
	behindLRU = 2.0 // at most, on any trace
)

// The store's own eviction on each trace beside LRU, ARC and S3-FIFO. `make hitratios` prints the table;
// EVICTION.md discusses it.
func TestHitRatios(t *testing.T) {
	if testing.Short() {
		t.Skip("some hundred thousand reads, by five policies")
	}
	traces := append(synthetic(), recorded(t)...)
	lines := make([]string, len(traces))
	golden := readGolden(t)
	t.Run("traces", func(t *testing.T) {
		for i, tr := range traces {
			t.Run(tr.name, func(t *testing.T) {
				t.Parallel()
				var got [len(policyNames)]score
				line := fmt.Sprintf("%-16s %5d MiB %6d", tr.name, tr.limit/mib, len(tr.reads))
				for k, p := range policies(t, tr.limit) {
					got[k] = play(tr, p)
					line += fmt.Sprintf(" | %5.1f %5.1f %5.0f", got[k].ratio(), got[k].byteRatio(), got[k].extra())
				}
				lines[i] = line
				store, lru := got[0].ratio(), got[1].ratio()
				if store < lru-behindLRU {
					t.Errorf("%.1f %% of requests hit, with LRU %.1f", store, lru)
				}
				if tr.ahead > 0 && store < lru+tr.ahead {
					t.Errorf("a scan sweeps the cache: %.1f %% of requests hit, with LRU %.1f", store, lru)
				}
				if want, ok := golden[tr.name]; !*updateGolden && (!ok || math.Abs(store-want) > drift) {
					t.Errorf("%.1f %% of requests hit; it was %.1f (%v). If that is meant: go test ./cache -run TestHitRatios -update", store, want, ok)
				}
			})
		}
	})
	table := head() + strings.Join(lines, "\n") + "\n"
	t.Log("\n" + table)
	if *updateGolden {
		must(t, os.WriteFile(goldenFile, []byte(table), 0o644))
	}
}

var goldenFile = filepath.Join("testdata", "hitratios.golden")

func head() string {
	s := fmt.Sprintf("%-16s %9s %6s", "", "limit", "reads")
	for _, n := range policyNames {
		s += fmt.Sprintf(" | %-17s", n)
	}
	return strings.TrimRight(s, " ") + "\n" + fmt.Sprintf("%33s", "") + strings.Repeat(" |  hit% byte% extra", len(policyNames)) + "\n"
}

// readGolden reads the store's ratio by requests of each trace.
func readGolden(t testing.TB) map[string]float64 {
	out := map[string]float64{}
	b, err := os.ReadFile(goldenFile)
	if err != nil && !*updateGolden {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(b), "\n") {
		name, rest, ok := strings.Cut(l, "|")
		var ratio float64
		if _, err := fmt.Sscan(rest, &ratio); ok && err == nil {
			out[strings.TrimSpace(name[:16])] = ratio
		}
	}
	return out
}

// recorded is a week of work on a mount, for caches of a tenth and of a third of what it touches. How
// it was recorded: TestRecordTrace of package daemon.
func recorded(t testing.TB) []trace {
	reads := loadTrace(t, filepath.Join("testdata", "work.trace.gz"))
	var all int64
	seen := endless{}
	for _, a := range reads {
		if !seen.read(a) {
			all += a.charge()
		}
	}
	return []trace{
		{name: "work, a tenth", limit: all / 10, reads: reads},
		{name: "work, a third", limit: all / 3, reads: reads},
	}
}
