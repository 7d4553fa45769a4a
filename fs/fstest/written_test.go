package fstest

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
)

// written is what was done to something: the states that it had or may have, oldest first, nil: it
// is not there. Of those before promised none may show.
type written struct {
	states   [][]byte
	promised int
	named    int          // the newest state that a change of names led to
	pieces   map[int]laid // the states that a copy led to, piece by piece
}

// laid is a range of a file that came piece by piece.
type laid struct{ off, n int }

// part reports whether got is what before is with the beginning of the range as after has it.
func (l laid) part(before, after, got []byte) bool {
	k := max(0, len(got)-l.off)
	if len(got) == len(before) {
		for k = 0; k < l.n && l.off+k < len(got) && got[l.off+k] == after[l.off+k]; k++ {
		}
	}
	if k > l.n {
		return false
	}
	want := append(bytes.Clone(before), make([]byte, max(0, l.off+k-len(before)))...)
	copy(want[l.off:], after[l.off:l.off+k])
	return bytes.Equal(want, got)
}

// untouched is what is not there.
func untouched() *written { return &written{states: [][]byte{nil}} }

func (f *written) now() []byte { return f.states[len(f.states)-1] }

// does adds a state that a change of the bytes leads to, if it happens.
func (f *written) does(state []byte) { f.states = append(f.states, state) }

// lays adds one that a change leads to which lays a range over the file, piece by piece.
func (f *written) lays(state []byte, off, n int) {
	f.does(state)
	if f.pieces == nil {
		f.pieces = map[int]laid{}
	}
	f.pieces[len(f.states)-1] = laid{off, n}
}

// names adds one that a change of names, or of attributes, leads to.
func (f *written) names(state []byte) {
	f.does(state)
	f.named = len(f.states) - 1
}

// becomes adds what from may be, which takes the place of f; saved says that its bytes are not
// behind its name.
func (f *written) becomes(from *written, saved bool) {
	first := max(from.promised, from.named)
	if saved {
		first = len(from.states) - 1
	}
	f.names(from.states[first])
	f.states = append(f.states, from.states[first+1:]...)
	from.names(nil)
}

// promise says that the present state is durable, promiseNames that all changes of names are.
func (f *written) promise()      { f.promised = len(f.states) - 1 }
func (f *written) promiseNames() { f.promised = max(f.promised, f.named) }

// check compares what is there with what may be, and goes on from it.
func (f *written) check(got []byte) error {
	at := len(f.states) - 1
	for ; at >= 0 && ((f.states[at] == nil) != (got == nil) || !bytes.Equal(f.states[at], got)); at-- {
		if l, ok := f.pieces[at]; ok && got != nil && l.part(f.states[at-1], f.states[at], got) { // behind the one before
			at--
			break
		}
	}
	was := *f
	f.states, f.promised, f.named, f.pieces = [][]byte{got}, 0, 0, nil
	if at < was.promised {
		return fmt.Errorf("it is %s, which it was in state %d of %d; state %d was promised: %s",
			show(got), at, len(was.states)-1, was.promised, show(was.states[was.promised]))
	}
	return nil
}

func (f *written) clone() *written {
	c := *f
	c.states, c.pieces = slices.Clone(f.states), maps.Clone(f.pieces)
	return &c
}

// show tells one state from another.
func show(state []byte) string {
	if state == nil {
		return "not there"
	}
	return fmt.Sprintf("%d bytes (%x)", len(state), sum(state))
}

func sum(b []byte) uint32 {
	h := fnv.New32()
	_, _ = h.Write(b)
	return h.Sum32()
}
