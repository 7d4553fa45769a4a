package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// quickly is how long work may take before a person is told how it goes.
const quickly = time.Second

// meter shows one line that changes, on a terminal, once the work has taken longer than a
// moment. It prints nothing elsewhere.
type meter struct {
	mu    sync.Mutex
	w     io.Writer // nil: show nothing
	began time.Time
	shown int // width of what stands on the line
	now   func() time.Time
}

func (a *app) newMeter() *meter {
	m := &meter{began: time.Now(), now: time.Now}
	if !a.json && isTerminal(a.Stderr) {
		m.w = a.Stderr
	}
	return m
}

func (m *meter) line(s string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.w == nil || m.now().Sub(m.began) < quickly {
		return
	}
	pad := max(0, m.shown-len([]rune(s)))
	fmt.Fprint(m.w, "\r"+s+strings.Repeat(" ", pad))
	m.shown = len([]rune(s))
}

// done wipes the line.
func (m *meter) done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.w != nil && m.shown > 0 {
		fmt.Fprint(m.w, "\r"+strings.Repeat(" ", m.shown)+"\r")
		m.shown = 0
	}
}

// moved shows blocks that move.
func (m *meter) moved(p controlapi.Progress) {
	s := fmt.Sprintf("%s  %s of %s", percent(p.Bytes, p.TotalBytes), size(p.Bytes), size(p.TotalBytes))
	if took := m.now().Sub(m.began); p.Bytes > 0 && p.Bytes < p.TotalBytes {
		rate := float64(p.Bytes) / took.Seconds()
		left := time.Duration(float64(p.TotalBytes-p.Bytes) / rate * float64(time.Second))
		s += fmt.Sprintf(", %s/s, %s left", size(int64(rate)), span(left))
	}
	m.line(s)
}

// pending shows what other devices do not have yet.
func (m *meter) pending(p controlapi.Pending) {
	m.line("Not on another device yet: " + pendingText(p))
}

func pendingText(p controlapi.Pending) string {
	return fmt.Sprintf("%s, %s (%s)", count(p.Records, "change", "changes"), blocks(p.Blocks), size(p.Bytes))
}
