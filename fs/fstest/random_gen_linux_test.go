package fstest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// preface gives a random program something to begin with.
var preface = []string{
	"mkdir d 0755", "mkdir d/e 02775", "mkdir g 0755",
	"open 0 a RDWR|CREAT 0644", "pwrite 0 0 70000 1", "open 1 b RDWR|CREAT 0600", "pwrite 1 0 5000 2",
	"open 2 d/a RDWR|CREAT|APPEND 0644", "write 2 3000 3", "open 3 d RDONLY|DIRECTORY 0",
}

// generate makes a program from a seed: it knows nothing of what the operations do, so that any part of it is
// a program, too.
func generate(seed uint64, n int) []string {
	r := rand.New(rand.NewPCG(seed, 0))
	var bag []act
	for _, op := range operations {
		for range op.weight {
			bag = append(bag, op)
		}
	}
	lines := append([]string(nil), preface...)
	for range n {
		op := bag[r.IntN(len(bag))]
		words := []string{op.name}
		for _, kind := range op.takes {
			words = append(words, operands[kind](r))
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

// operands make operands of every kind.
var operands = map[rune]func(r *rand.Rand) string{
	's': func(r *rand.Rand) string { return fmt.Sprint(r.IntN(slots)) }, // a slot to be filled
	'f': func(r *rand.Rand) string { return fmt.Sprint(r.IntN(slots)) }, // what is open in it
	'm': func(r *rand.Rand) string { return fmt.Sprint(r.IntN(mapSlots)) },
	'p': somePath,
	'o': func(r *rand.Rand) string { return fmt.Sprint(someOffset(r)) },
	'l': func(r *rand.Rand) string { return fmt.Sprint(someLength(r)) },
	'x': func(r *rand.Rand) string { return fmt.Sprint(1 + r.IntN(1000)) }, // seed of bytes
	'F': someFlags,
	'M': func(r *rand.Rand) string {
		return pick(r, "0644", "0600", "0755", "0777", "02755", "02644", "04755", "01777", "0")
	},
	'a': func(r *rand.Rand) string { return pick(r, "ALLOCATE", "KEEP", "PUNCH", "PUNCH", "ZERO", "ZERO_KEEP") },
	'w': func(r *rand.Rand) string { return pick(r, "SET", "SET", "CUR", "END") },
	'k': func(r *rand.Rand) string { return pick(r, "SH", "EX", "UN") },
	'r': func(r *rand.Rand) string { return pick(r, "REPLACE", "REPLACE", "REPLACE", "NOREPLACE", "EXCHANGE") },
	't': func(r *rand.Rand) string {
		return pick(r, "NOW", "OMIT", fmt.Sprint(r.Int64N(1e18)), fmt.Sprint(-r.Int64N(1e18)))
	},
	'u': func(r *rand.Rand) string { return pick(r, "-1", "0", "1000") },
	'n': func(r *rand.Rand) string { return pick(r, "user.a", "user.b", "user.c", "user.", "other.a") },
	'c': func(r *rand.Rand) string { return pick(r, "ANY", "CREATE", "REPLACE") },
	'P': func(r *rand.Rand) string { return pick(r, "SHARED", "SHARED", "PRIVATE") },
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// somePath is one of few, so that operations meet.
func somePath(r *rand.Rand) string {
	switch r.IntN(40) {
	case 0:
		return pick(r, "d/.", "d/..", "d/e/../a", "a/", "d/", "e/", ".", "LONG", "LONGER", "d/LONG", "h/x/y")
	case 1, 2, 3:
		return fmt.Sprintf("@%d/%s", r.IntN(slots), pick(r, "a", "b", "e"))
	}
	dir := pick(r, "", "", "", "d/", "d/", "d/e/", "g/")
	return dir + pick(r, "a", "a", "b", "b", "c", "d", "e", "g")
}

func someFlags(r *rand.Rand) string {
	fl := []string{pick(r, "RDONLY", "WRONLY", "RDWR", "RDWR", "RDWR", "RDWR")}
	if r.IntN(12) == 0 {
		return strings.Join(append(fl, "TMPFILE"), "|")
	}
	if r.IntN(2) == 0 {
		fl = append(fl, "CREAT")
	}
	for _, name := range []string{"EXCL", "TRUNC", "APPEND", "DIRECTORY", "NOFOLLOW", "SYNC", "DSYNC", "DIRECT", "PATH"} {
		if r.IntN(10) == 0 {
			fl = append(fl, name)
		}
	}
	return strings.Join(fl, "|")
}

// someOffset lies near a boundary, mostly early in a file.
func someOffset(r *rand.Rand) int64 {
	unit := []int64{1, 512, 4096, 4096, 4096, 64 << 10, 128 << 10}[r.IntN(7)]
	if r.IntN(20) == 0 {
		unit = 1 << 20
	}
	off := unit*r.Int64N(6) + []int64{0, 0, 0, 1, -1, r.Int64N(5000)}[r.IntN(6)]
	return max(0, off)
}

func someLength(r *rand.Rand) int64 {
	if r.IntN(15) == 0 {
		return r.Int64N(600 << 10)
	}
	return []int64{0, 1, 4095, 4096, 4097, r.Int64N(300), r.Int64N(10000), 8192, r.Int64N(70000)}[r.IntN(9)]
}
