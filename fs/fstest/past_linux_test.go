package fstest

import (
	"testing"
	"time"
)

func TestPastOverAMount(t *testing.T) {
	c := mounted(t)
	tt := &T{T: t, Sys: OS(c.mnt)}
	Past(tt, func(by time.Duration) time.Time {
		now, err := time.Parse(time.RFC3339Nano, c.ask("pass", by.String()))
		tt.ok(err)
		return now.In(time.Local)
	})
}
