//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// ends is how everything ends that a run has begun and that must not outlive it: daemons, mounts, folders.
type ends struct {
	mu    sync.Mutex
	steps []func()
}

// begin runs what begins something, and has end called when the run ends, even if begin fails halfway.
// While the run is ending it does not return: nothing begins any more.
func (e *ends) begin(begin func() error, end func()) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if end != nil {
		e.steps = append(e.steps, end)
	}
	return begin()
}

// all ends what was begun, the last first, and lets nothing begin afterwards: it keeps the lock.
func (e *ends) all() {
	e.mu.Lock()
	for i := len(e.steps) - 1; i >= 0; i-- {
		e.steps[i]()
	}
}

// process is a program in the background.
type process struct {
	cmd  *exec.Cmd
	said bytes.Buffer // to be read only after it has ended
	done chan struct{}
}

// start starts a program that ends with the run. It is in a process group of its own: a Ctrl-C at the
// terminal reaches the run alone, which then ends everything in order.
func (e *ends) start(name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = time.Second
	started := false
	err := e.begin(func() error {
		if err := p.cmd.Start(); err != nil {
			return err
		}
		started = true
		go func() {
			_ = p.cmd.Wait()
			close(p.done)
		}()
		return nil
	}, func() {
		if started {
			p.stop()
		}
	})
	return p, err
}

// stop asks the process to end, and makes it end when it does not.
func (p *process) stop() {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if p.ended() {
			return
		}
		_ = syscall.Kill(-p.cmd.Process.Pid, sig)
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
		}
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// until waits for what shows that the process is ready.
func (p *process) until(ready func() bool) error {
	for end := time.Now().Add(time.Minute); !ready(); time.Sleep(5 * time.Millisecond) {
		if p.ended() {
			return fmt.Errorf("%s ended: %s\n%s", p.cmd, p.cmd.ProcessState, bytes.TrimSpace(p.said.Bytes()))
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s is not ready after a minute", p.cmd)
		}
	}
	return nil
}
