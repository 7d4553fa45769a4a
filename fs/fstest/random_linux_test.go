package fstest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs/alias"
)

var (
	randomSeed   = flag.Uint64("random.seed", uint64(time.Now().UnixNano()), "of TestRandom and its kin")
	randomOps    = flag.Int("random.ops", 1000, "operations of a random program")
	randomRounds = flag.Int("random.rounds", 1, "how many random programs, with one seed after the other, beside two that are always run")
)

// TestRandom runs random programs on a mount and on the local filesystem that holds the test's files,
// and compares all that can be observed after each operation, the trees at the end, and once more when
// the mount has been mounted anew, with the usual limits and with such that everything is saved at once.
// A program that shows a difference is made as short as can be.
func TestRandom(t *testing.T) {
	seeds := []uint64{1, 2}
	for i := range *randomRounds {
		seeds = append(seeds, *randomSeed+uint64(i))
	}
	for name, hasty := range map[string]string{"usual": "", "hasty": hastyEnv + "=1"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, hasty)
			for _, seed := range seeds {
				lines := generate(seed, *randomOps)
				if d := b.run(lines); d != nil {
					lines, d = b.shrink(lines, d)
					t.Fatalf("-random.seed %d -random.ops %d: %s\nprogram:\n%s", seed, *randomOps, d, strings.Join(lines, "\n"))
				}
			}
			b.remount()
		})
	}
}

// TestRandomKept runs the programs that once showed a difference.
func TestRandomKept(t *testing.T) {
	files, err := filepath.Glob("testdata/random/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no programs", err)
	}
	b := newBench(t, "")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					lines = append(lines, line)
				}
			}
			if d := b.run(lines); d != nil {
				t.Error(d)
			}
		})
	}
	b.remount()
}

// bench is a mount and an oracle, and what programs have left there.
type bench struct {
	t      *testing.T
	c      *child
	oracle string
	runs   [][2]*side
	n      int
}

// newBench makes one; env is a variable for the child.
func newBench(t *testing.T, env string) *bench {
	return &bench{t: t, c: mountedWith(t, t.TempDir(), alias.Exact, env), oracle: t.TempDir()}
}

// difference is what two sides showed after a line, or in the end.
type difference struct {
	at            int // the number of the line, or of lines
	line          string
	mount, oracle string
}

func (d *difference) String() string {
	return fmt.Sprintf("line %d, %s\nmount:  %s\noracle: %s", d.at+1, d.line, d.mount, d.oracle)
}

// run runs a program in new directories, which stay if no difference shows.
func (b *bench) run(lines []string) *difference {
	b.t.Helper()
	b.n++
	name := fmt.Sprint("run", b.n)
	here, there := newSide(filepath.Join(b.c.mnt, name)), newSide(filepath.Join(b.oracle, name))
	for _, s := range []*side{here, there} {
		if err := os.Mkdir(s.root, 0o755); err != nil {
			b.t.Fatal(err)
		}
		defer s.close()
	}
	for i, line := range lines {
		want := there.do(line)
		if got := here.do(line); !agree(got, want) {
			return &difference{i, line, got, want}
		}
	}
	here.close()
	there.close()
	if diff := differences(here, there); diff != nil {
		return &difference{at: len(lines), line: "the end", mount: "\n" + strings.Join(diff, "\n")}
	}
	b.runs = append(b.runs, [2]*side{here, there})
	return nil
}

// remount mounts anew and compares what all programs left.
func (b *bench) remount() {
	b.t.Helper()
	b.c.quit()
	b.c = mountedAt(b.t, b.c.dir)
	for _, sides := range b.runs {
		if diff := differences(sides[0], sides[1]); diff != nil {
			b.t.Errorf("mounted anew, %s:\n%s", filepath.Base(sides[0].root), strings.Join(diff, "\n"))
		}
	}
}
