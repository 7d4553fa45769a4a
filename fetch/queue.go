package fetch

import "container/list"

// queue is a list of flights in the order of their arrival.
type queue struct{ l list.List }

// element is a flight's place in a queue.
type element struct {
	q *queue
	e *list.Element
}

func (q *queue) push(fl *flight) { fl.place = &element{q, q.l.PushBack(fl)} }

func (p *element) remove() {
	fl := p.q.l.Remove(p.e).(*flight)
	fl.place = nil
}
