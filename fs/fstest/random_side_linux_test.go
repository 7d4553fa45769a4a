package fstest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A random program is a list of operations, one a line: its name and its operands. It runs on two
// sides, a mount and a local filesystem, and both must show the same after each line.

// side is one of the two: a directory, and what the program holds open there.
type side struct {
	root   string
	fds    [slots]int // -1: not open
	maps   [mapSlots]mapping
	stored map[uint64]bool // inodes changed through a map: when that moves their times is nobody's promise
}

const (
	slots    = 6
	mapSlots = 3
)

func newSide(root string) *side {
	s := &side{root: root, stored: map[uint64]bool{}}
	for i := range s.fds {
		s.fds[i] = -1
	}
	return s
}

// close lets go of everything.
func (s *side) close() {
	for i := range s.fds {
		if s.fds[i] >= 0 {
			unix.Close(s.fds[i])
			s.fds[i] = -1
		}
	}
	for i := range s.maps {
		s.unmap(i)
	}
}

// act is an operation: its name, how often it comes, the kinds of its operands, and what it does,
// which returns all that can be observed of it.
type act struct {
	name   string
	weight int
	takes  string // a letter of kinds for each operand
	do     func(s *side, a args) string
}

// args are the operands.
type args struct {
	s     *side
	words []string
}

func (a args) num(i int) int64 {
	n, err := strconv.ParseInt(a.words[i], 0, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (a args) size(i int) int    { return int(a.num(i)) }
func (a args) mode(i int) uint32 { return uint32(a.num(i)) }
func (a args) fd(i int) int      { return a.s.fds[a.num(i)] }

func (a args) mapped(i int) mapping { return a.s.maps[a.num(i)] }

// path is where an operand leads: below the root, or below the open directory in slot n: "@n/…".
func (a args) path(i int) string {
	p := strings.ReplaceAll(a.words[i], "LONG", strings.Repeat("l", 255-len("LONG")))
	if rest, ok := strings.CutPrefix(p, "@"); ok {
		slot, rest, _ := strings.Cut(rest, "/")
		n, _ := strconv.Atoi(slot)
		return fmt.Sprintf("/proc/self/fd/%d/%s", a.s.fds[n], rest)
	}
	return a.s.root + "/" + p
}

// flags are the bits of names joined by bars, from a table.
func (a args) flags(i int, table map[string]int) (bits int) {
	for name := range strings.SplitSeq(a.words[i], "|") {
		bit, ok := table[name]
		if !ok {
			panic("unknown flag " + name)
		}
		bits |= bit
	}
	return bits
}

// operations are all of them.
var operations = slices.Concat(fdActs, pathActs, mapActs)

func actNamed(name string) *act {
	i := slices.IndexFunc(operations, func(op act) bool { return op.name == name })
	if i < 0 {
		return nil
	}
	return &operations[i]
}

// do runs one line and returns what it and a look at its operands show.
func (s *side) do(line string) string {
	words := strings.Fields(line)
	op := actNamed(words[0])
	if op == nil || len(op.takes) != len(words)-1 {
		panic("not an operation: " + line)
	}
	a := args{s: s, words: words[1:]}
	out := []string{op.do(s, a)}
	for i, kind := range op.takes {
		switch kind {
		case 'f':
			if fd := a.fd(i); fd >= 0 {
				out = append(out, s.look(fd, ""))
			}
		case 'p':
			out = append(out, s.look(unix.AT_FDCWD, a.path(i)))
		}
	}
	return strings.Join(out, " ; ")
}

// said is what a call shows: its error, or what it returned.
func said(err error, what ...any) string {
	if err == nil {
		return strings.TrimSuffix(fmt.Sprintln(append([]any{"ok"}, what...)...), "\n")
	}
	if e, ok := err.(unix.Errno); ok {
		return unix.ErrnoName(e)
	}
	return err.Error()
}

// agree compares what the two sides show, field by field; "?" agrees with anything.
func agree(x, y string) bool {
	if x == y {
		return true
	}
	xs, ys := strings.Fields(x), strings.Fields(y)
	if len(xs) != len(ys) {
		return false
	}
	for i := range xs {
		if xs[i] != ys[i] && xs[i] != "?" && ys[i] != "?" {
			return false
		}
	}
	return true
}

// inRoot is a path below the root of a side, for messages.
func (s *side) inRoot(p string) string {
	rel, err := filepath.Rel(s.root, p)
	if err != nil {
		return p
	}
	return rel
}
