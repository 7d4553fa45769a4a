package namespace

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/ident"
)

// Who has begun to tell something and is not done is named, also after a restart, once that takes a while.
func TestComing(t *testing.T) {
	w := newMemWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	for i := range 2 * MaxRecords {
		mkfile(t, a.Replica, Root, fmt.Sprint("f", i), 1+i)
	}
	from := []ident.DeviceID{a.id()}
	if got := b.Coming(); got != nil {
		t.Errorf("before anything: %v", got)
	}
	pull(t, b, a, 2)
	if got := b.Coming(); got != nil {
		t.Errorf("for a moment: %v", got)
	}
	w.now = w.now.Add(time.Minute)
	if got := b.Coming(); !slices.Equal(got, from) {
		t.Errorf("amid it: %v", got)
	}
	b.close()
	b.open()
	if got := b.Coming(); !slices.Equal(got, from) {
		t.Errorf("after a restart: %v", got)
	}
	pull(t, b, a, -1)
	w.now = w.now.Add(time.Minute)
	if got := b.Coming(); got != nil {
		t.Errorf("all is there: %v", got)
	}
}
