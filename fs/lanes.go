package fs

import "sync"

// lanes run work in order for each inode, and beside each other for different ones: a
// kernel may let a notification wait until a request about the same inode is answered, and
// that may take as long as another device needs.
type lanes struct {
	mu sync.Mutex
	of map[Ino][]func()
}

// put has fn run after what was put for the same inode before. spawn starts a goroutine.
func (l *lanes) put(i Ino, spawn func(func()), fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = make(map[Ino][]func())
	}
	_, running := l.of[i]
	l.of[i] = append(l.of[i], fn)
	if !running {
		spawn(func() { l.run(i) })
	}
}

func (l *lanes) run(i Ino) {
	for {
		l.mu.Lock()
		todo := l.of[i]
		if len(todo) == 0 {
			delete(l.of, i)
			l.mu.Unlock()
			return
		}
		l.of[i] = nil
		l.mu.Unlock()
		for _, fn := range todo {
			fn()
		}
	}
}
