package guest

import (
	"time"

	"github.com/shelffs/shelf/fetch"
)

// Count implements fetch.Pacer.
func (g *Guest) Count(n fetch.Need, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.count(down, n.Path, g.now.Metered, n.Priority <= fetch.ReadAhead, bytes)
}

// Grant takes up to n bytes that are to be sent over a path, or, when none may be, says how long to wait.
func (g *Guest) Grant(path fetch.Path, urgent bool, n int) (granted int, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	metered := g.conditionsLocked().Metered
	if wait = g.limits.wait(up, path, metered, urgent); wait > 0 {
		return 0, wait
	}
	n = g.limits.portion(up, path, metered, n)
	g.limits.count(up, path, metered, urgent, int64(n))
	return n, 0
}

// Limits are those in force.
func (g *Guest) Limits() Limits {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits.now
}

// SetLimits puts others in force.
func (g *Guest) SetLimits(l Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.set(l)
}
