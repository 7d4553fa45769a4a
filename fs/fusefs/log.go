//go:build linux || darwin || freebsd

package fusefs

import (
	"context"
	"log/slog"
	"runtime/debug"
)

// quiet passes the library's messages on at debug level: they are about requests that a
// program or the kernel gave up, not about something to be done.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func stack() string { return string(debug.Stack()) }
