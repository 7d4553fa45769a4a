package kv

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/internal/errs"
)

// guard stands between Pebble and the disk.
type guard struct {
	o    Options
	dir  string
	log  *slog.Logger
	full atomic.Bool
	fail atomic.Pointer[errs.Error]
}

func newGuard(o Options, dir string) *guard { return &guard{o: o, dir: dir, log: o.Logger} }

func (g *guard) fs() vfs.FS { return g.o.FS }

func (g *guard) begin() {}

func (g *guard) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { g.log.Warn("kv: background work failed", "err", err) },
		DataCorruption:  func(i pebble.DataCorruptionInfo) { g.log.Error("kv: damaged file", "info", i.String()) },
	}
}

// failure is why the store takes no more writes, nil while it does.
func (g *guard) failure() error {
	if e := g.fail.Load(); e != nil {
		return e
	}
	return nil
}

func (g *guard) failed(err error) {
	e := &errs.Error{Op: "kv", Kind: diskKind(err), Err: err}
	if g.fail.CompareAndSwap(nil, e) {
		g.log.Error("kv: the disk failed; no more writes until the store is opened again", "err", err)
	}
}

// admit refuses a write when there is no room for it.
func (g *guard) admit(op string, reclaims bool, bytes int) error {
	if err := g.failure(); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	return nil
}

// logger takes Pebble's messages. What Pebble would end the process for becomes the guard's
// failed state.
type logger struct {
	log   *slog.Logger
	guard *guard
}

func (l *logger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("kv: " + fmt.Sprintf(format, args...))
	}
}

func (l *logger) Errorf(format string, args ...any) {
	l.log.Warn("kv: " + fmt.Sprintf(format, args...))
}

func (l *logger) Fatalf(format string, args ...any) {
	var cause error
	for _, a := range args {
		if e, ok := a.(error); ok {
			cause = e
		}
	}
	l.guard.failed(errs.E("kv", diskKind(cause), fmt.Sprintf(format, args...), nil))
}
