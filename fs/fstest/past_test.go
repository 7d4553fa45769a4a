package fstest

import (
	"testing"
	"time"
)

func TestPastOverTheCore(t *testing.T) {
	tt, d := one(t, setup{})
	Past(tt, func(by time.Duration) time.Time {
		tt.ok(d.fs.Sync(bg))
		return d.pass(by)
	})
}
