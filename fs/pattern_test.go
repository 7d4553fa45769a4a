package fs

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// traces are how programs and kernels read files of 64 MiB.
var traces = []struct {
	name  string
	reads func(r *rand.Rand) []extent
}{
	{"whole file, 128 KiB at a time", func(*rand.Rand) []extent { return steps(0, 128<<10, 128<<10, 512) }},
	{"whole file, 1 MiB at a time", func(*rand.Rand) []extent { return steps(0, 1<<20, 1<<20, 64) }},
	{"whole file, a kernel's order", func(r *rand.Rand) []extent { return shuffled(r, steps(0, 128<<10, 128<<10, 512), 6) }},
	{"whole file, by 4 threads", func(r *rand.Rand) []extent {
		return interleaved(steps(0, 128<<10, 128<<10, 128), steps(16<<20, 128<<10, 128<<10, 128),
			steps(32<<20, 128<<10, 128<<10, 128), steps(48<<20, 128<<10, 128<<10, 128))
	}},
	{"backwards, 64 KiB at a time", func(*rand.Rand) []extent { return steps(64<<20-64<<10, 64<<10, -64<<10, 1024) }},
	{"every fourth MiB, 64 KiB", func(*rand.Rand) []extent { return steps(0, 64<<10, 4<<20, 16) }},
	{"columns of 256 KiB, 3 MiB apart, backwards", func(*rand.Rand) []extent { return steps(63<<20, 256<<10, -3<<20, 21) }},
	{"a page at random, 2000 times", func(r *rand.Rand) []extent {
		return random(r, 4096, 2000)
	}},
	{"128 KiB at random, 100 times", func(r *rand.Rand) []extent { return random(r, 128<<10, 100) }},
	{"only the beginning", func(*rand.Rand) []extent { return steps(0, 128<<10, 128<<10, 1) }},
	{"the index at the end, then a film", func(*rand.Rand) []extent {
		return append(steps(64<<20-256<<10, 128<<10, 128<<10, 2), steps(0, 128<<10, 128<<10, 400)...)
	}},
	{"a film with five jumps", func(r *rand.Rand) (out []extent) {
		for range 5 {
			out = append(out, steps(r.Int64N(50<<20)&^4095, 128<<10, 128<<10, 80)...)
		}
		return out
	}},
}

func steps(off, n, step int64, count int) (out []extent) {
	for range count {
		out = append(out, extent{off, off + n})
		off += step
	}
	return out
}

// shuffled mixes so many neighbours at a time.
func shuffled(r *rand.Rand, in []extent, n int) []extent {
	for part := range slices.Chunk(in, n) {
		r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	return in
}

func interleaved(parts ...[]extent) (out []extent) {
	for i := range parts[0] {
		for _, p := range parts {
			out = append(out, p[i])
		}
	}
	return out
}

func random(r *rand.Rand, n int64, count int) (out []extent) {
	for range count {
		off := r.Int64N(64<<20-n) &^ 4095
		out = append(out, extent{off, off + n})
	}
	return out
}

// What the pattern makes of each trace, counted in blocks of 256 KiB: those that were on their way before
// they were read, those that a reader had to ask for, and those brought in vain. A seek withdraws nothing
// here, as if everything came at once: the worst case for what is in vain.
func TestPatternOnTraces(t *testing.T) {
	const size, block, most = 64 << 20, 256 << 10, 32 << 20
	var b strings.Builder
	fmt.Fprintf(&b, "%-44s %6s %6s %6s %8s %7s\n", "trace", "blocks", "ahead", "asked", "in vain", "seeks")
	for _, tr := range traces {
		var p pattern
		have, read, ahead := map[int64]bool{}, map[int64]bool{}, 0
		seeks := 0
		for _, r := range tr.reads(rand.New(rand.NewPCG(1, 2))) {
			for at := r.off / block; at*block < r.end; at++ {
				if have[at] && !read[at] {
					ahead++
				}
				have[at], read[at] = true, true
			}
			a := p.note(r, size, most)
			if a.seek {
				seeks++
			}
			for _, w := range a.want {
				if w.off < 0 || w.end > size || w.len() <= 0 {
					t.Fatalf("%s: wants %v of %d", tr.name, w, size)
				}
				for at := w.off / block; at*block < w.end; at++ {
					have[at] = true
				}
			}
		}
		fmt.Fprintf(&b, "%-44s %6d %6d %6d %8d %7d\n", tr.name, len(read), ahead, len(read)-ahead, len(have)-len(read), seeks)
	}
	golden := filepath.Join("testdata", "readahead.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s(with -update the file is written anew)", b.String(), want)
	}
}

// Whatever is read, nothing is wanted twice by one stream, nor outside the file, nor more than allowed.
func TestPatternStaysWithinBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var p pattern
		size := r.Int64N(8<<20) + 1
		most := r.Int64N(4<<20) + 4096
		at := int64(0)
		for range 200 {
			n := min(r.Int64N(256<<10)+1, size)
			switch r.IntN(5) {
			case 0:
				at = r.Int64N(size)
			case 1:
				at -= n
			}
			at = max(min(at, size-n), 0)
			a := p.note(extent{at, at + n}, size, most)
			sum := int64(0)
			for _, w := range append(a.want, a.open) {
				if w.off < 0 || w.end > size || w.len() < 0 {
					t.Fatalf("%v of %d", w, size)
				}
			}
			for _, w := range a.want {
				sum += w.len()
			}
			if limit := max(most, raFirst) + n; sum > limit {
				t.Fatalf("%d wanted at once, at most %d are allowed", sum, limit)
			}
			at += n
		}
	}
}
