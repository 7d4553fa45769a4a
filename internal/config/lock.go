package config

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// Lock is the right to be the daemon of a home. The system releases it when the process
// ends, however it ends.
type Lock struct{ f *os.File }

// errLocked is what tryLock returns when another process has the lock.
var errLocked = errors.New("locked")

// Lock takes the home, or is Busy when another process has it. The home must exist.
func (h Home) Lock() (*Lock, error) {
	const op = "config.Home.Lock"
	f, err := os.OpenFile(h.LockFile(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errs.FromOS(op, h.LockFile(), err)
	}
	// Somebody who only looks (Locked) has it for an instant: try again for a moment.
	err = tryLock(f, false)
	for n := 0; errors.Is(err, errLocked) && n < 10; n++ {
		time.Sleep(10 * time.Millisecond)
		err = tryLock(f, false)
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, errLocked) {
			return nil, errs.E(op, errs.Busy, string(h), errors.New("another shelf daemon uses this home"))
		}
		return nil, errs.E(op, errs.Other, h.LockFile(), err)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, errs.FromOS(op, h.LockFile(), err)
	}
	return &Lock{f}, nil
}

// Release gives the home back.
func (l *Lock) Release() error { return l.f.Close() }

// Locked reports whether a daemon has the home, and its process id (0 when not known).
func (h Home) Locked() (pid int, locked bool) {
	f, err := os.OpenFile(h.LockFile(), os.O_RDWR, 0)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	if !errors.Is(tryLock(f, true), errLocked) {
		return 0, false // closing releases what was just taken
	}
	buf := make([]byte, 32)
	n, _ := f.ReadAt(buf, 0)
	pid, _ = strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	return pid, true
}

// WaitUnlocked returns when no daemon has the home, or with ctx's error.
func (h Home) WaitUnlocked(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, locked := h.Locked(); !locked {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
