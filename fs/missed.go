package fs

import "sync"

// missed remembers which names a kernel was told not to exist, and may remember itself. Normally it hears
// of each name that appears; when changes were not told apart, these are the ones that it has to ask for
// again.
type missed struct {
	mu    sync.Mutex
	names []missedName // a ring, once it is full
	next  int
}

type missedName struct {
	dir  Ino
	name string
}

const missedMost = 4096

func (m *missed) note(dir Ino, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.names) < missedMost {
		m.names = append(m.names, missedName{dir, name})
		return
	}
	m.names[m.next] = missedName{dir, name}
	m.next = (m.next + 1) % missedMost
}

// take returns them and forgets them.
func (m *missed) take() []missedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.names
	m.names, m.next = nil, 0
	return all
}
