package share

import (
	"sync"
	"time"
)

// Limits on strangers who ask to join, for the whole account.
const (
	maxGuests   = 8               // conversations at once
	guestBurst  = 20              // conversations that may begin one after the other …
	guestRefill = 3 * time.Second // … and then one each so often
	maxAskers   = 8               // how often one invitation may put somebody before a person
)

// guests counts those who ask to join.
type guests struct {
	clock func() time.Time
	// turn holds one value while a person is being asked: others wait for their turn.
	turn chan struct{}

	mu     sync.Mutex
	inside int
	tokens float64
	last   time.Time
	asked  map[inviteID]int
}

func newGuests(clock func() time.Time) *guests {
	return &guests{clock: clock, turn: make(chan struct{}, 1), tokens: guestBurst, last: clock(), asked: map[inviteID]int{}}
}

// enter reports whether one more conversation may begin; leave must follow if so.
func (g *guests) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock()
	g.tokens = min(guestBurst, g.tokens+max(0, now.Sub(g.last).Seconds())/guestRefill.Seconds())
	g.last = now
	if g.inside >= maxGuests || g.tokens < 1 {
		return false
	}
	g.inside, g.tokens = g.inside+1, g.tokens-1
	return true
}

func (g *guests) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
}

// ask reports whether a person may be asked once more about an invitation.
func (g *guests) ask(id inviteID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked[id]++
	return g.asked[id] <= maxAskers
}
