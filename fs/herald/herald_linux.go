package herald

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lookEvery = 20              // to look who watches may take one part in so many of the time,
	lookSoon  = time.Second     // but a new one is not missed for longer than this
	patience  = 5 * time.Second // with one call of the helper
	restAfter = 3               // helpers that ended badly in a row: no more
)

// Herald runs the helper of one mount. Its methods may be called concurrently.
type Herald struct {
	device func() string // of the mount, "major:minor"
	start  func() *exec.Cmd
	log    *slog.Logger

	thread atomic.Int64 // the helper's, 0 without one

	mu      sync.Mutex
	look    time.Time // when to look again
	watched map[uint64]bool
	helper  *helper
	failed  int // helpers in a row
	stopped bool
}

type helper struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// New makes a Herald; start makes the command that runs Help, not started yet.
func New(device func() string, start func() *exec.Cmd, log *slog.Logger) *Herald {
	return &Herald{device: device, start: start, log: log}
}

// Thread tells by whom the calls are made; 0: by nobody at present.
func (h *Herald) Thread() uint32 { return uint32(h.thread.Load()) }

// Watching reports whether some program watched something lately.
func (h *Herald) Watching() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); !h.stopped && now.After(h.look) {
		h.watched = watches(h.device())
		h.look = time.Now().Add(min(lookSoon, lookEvery*time.Since(now)))
	}
	return !h.stopped && len(h.watched) > 0
}

// Watched reports whether some program watched the inode when Watching looked.
func (h *Herald) Watched(ino uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watched[ino]
}

// Make has the helper make a call, and waits for it.
func (h *Herald) Make(c Call) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped || h.failed >= restAfter {
		return nil
	}
	err := h.make(c)
	if err != nil {
		h.log.Debug("a program that watches was not told of a change", "err", err)
	}
	return err
}

func (h *Herald) make(c Call) error {
	if h.helper == nil {
		p, err := h.run()
		if err != nil {
			h.failed++
			return err
		}
		h.helper = p
	}
	p := h.helper
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	err := json.NewEncoder(p.in).Encode(c)
	var line string
	if err == nil {
		line, err = p.out.ReadString('\n')
	}
	if err != nil {
		h.failed++
		h.end()
		return err
	}
	h.failed = 0
	if line != "ok\n" {
		return errors.New(line[:len(line)-1])
	}
	return nil
}

// run starts a helper. Needs mu.
func (h *Herald) run() (*helper, error) {
	p := &helper{cmd: h.start()}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	var thread int64
	if _, err := fmt.Fscanln(p.out, &thread); err != nil {
		_ = in.Close()
		return nil, errors.Join(err, p.cmd.Wait())
	}
	h.thread.Store(thread)
	return p, nil
}

// end ends the helper, if there is one. Needs mu.
func (h *Herald) end() {
	if p := h.helper; p != nil {
		h.helper = nil
		h.thread.Store(0)
		_ = p.in.Close()
		late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
		_ = p.cmd.Wait()
		late.Stop()
	}
}

// Quiet runs fn while the helper does nothing, so that it uses nothing of the mount.
func (h *Herald) Quiet(fn func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fn()
}

// Stop ends the helper; nothing is told any more.
func (h *Herald) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.end()
}
