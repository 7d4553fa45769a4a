package fstest

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"slices"
)

// written is what was done to something: the states that it had or may have, oldest first, nil: it
// is not there. Of those before promised none may show.
type written struct {
	states   [][]byte
	promised int
	named    int // the newest state that a change of names led to
}

// untouched is what is not there.
func untouched() *written { return &written{states: [][]byte{nil}} }

func (f *written) now() []byte { return f.states[len(f.states)-1] }

// does adds a state that a change of the bytes leads to, if it happens.
func (f *written) does(state []byte) { f.states = append(f.states, state) }

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
	}
	was := *f
	f.states, f.promised, f.named = [][]byte{got}, 0, 0
	if at < was.promised {
		return fmt.Errorf("it is %s, which it was in state %d of %d; state %d was promised: %s",
			show(got), at, len(was.states)-1, was.promised, show(was.states[was.promised]))
	}
	return nil
}

func (f *written) clone() *written {
	c := *f
	c.states = slices.Clone(f.states)
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
