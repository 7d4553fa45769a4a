package fetch

import "container/list"

// quantum is how many bytes a group may start in its turn.
const quantum = usualBlock

// queue holds the flights of one priority that wait to start. Groups take turns, by bytes, so that a large one
// does not stand before a small one; within a group flights keep their order. A turn may overdraw its
// credit, and is passed over until that is made good (surplus round robin).
type queue struct {
	ring  list.List // of *turn, the next one first
	turns map[*Group]*turn
}

// turn is a group in a queue.
type turn struct {
	group   *Group
	flights list.List
	credit  int64 // bytes
	e       *list.Element
}

// place is where a flight waits.
type place struct {
	q *queue
	t *turn
	e *list.Element
}

// push adds a flight behind the others of its group. One that was on its way already goes before them.
func (q *queue) push(fl *flight) {
	t := q.turns[fl.group]
	if t == nil {
		if q.turns == nil {
			q.turns = map[*Group]*turn{}
		}
		t = &turn{group: fl.group, credit: quantum}
		t.e = q.ring.PushBack(t)
		q.turns[fl.group] = t
	}
	fl.place = &place{q: q, t: t}
	if len(fl.tried) > 0 {
		fl.place.e = t.flights.PushFront(fl)
	} else {
		fl.place.e = t.flights.PushBack(fl)
	}
}

// next is the group whose turn it is; nil when the queue is empty.
func (q *queue) next() *turn {
	for {
		e := q.ring.Front()
		if e == nil {
			return nil
		}
		t := e.Value.(*turn)
		if t.credit > 0 {
			return t
		}
		t.credit += quantum
		q.pass(t)
	}
}

// pass lets the others go first.
func (q *queue) pass(t *turn) { q.ring.MoveToBack(t.e) }

func (p *place) remove() {
	p.t.flights.Remove(p.e).(*flight).place = nil
	if p.t.flights.Len() == 0 {
		p.q.ring.Remove(p.t.e)
		delete(p.q.turns, p.t.group)
	}
}
