package kv

import (
	"context"
	"fmt"
	"log/slog"
)

// logger takes Pebble's messages.
type logger struct {
	log   *slog.Logger
	guard *guard
}

func (l *logger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("kv: engine", "msg", fmt.Sprintf(format, args...))
	}
}

func (l *logger) Errorf(format string, args ...any) {
	l.log.Warn("kv: engine", "msg", fmt.Sprintf(format, args...))
}

// Fatalf returns, which Pebble does not expect but bears: the guard lets nothing reach the
// disk afterwards.
func (l *logger) Fatalf(format string, args ...any) { l.guard.fatal(format, args...) }
