//go:build linux

package scenario

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The deadlines of cmd/shelf/CONTRACT.md, with room for a machine that has other things to do. The fourth,
// ETIMEDOUT after 20 s, needs a device that lives and sends nothing: package fetch tests it in virtual time.
const (
	nobodyConnected = 3 * time.Second
	justVanished    = 10 * time.Second
	interrupted     = 250 * time.Millisecond
	slack           = 5 * time.Second
)

func TestDeadlines(t *testing.T) {
	t.Run("nobody is connected", func(t *testing.T) {
		t.Parallel()
		_, b := elsewhere(t, 3<<20, func(a *device) { a.must("down") })
		b.failsWithin(nobodyConnected, "file", syscall.EHOSTDOWN, time.Now())
		if out := b.must("why", b.path("file")); !strings.Contains(out, "not on this device") {
			t.Errorf("why: %s", out)
		}
	})
	t.Run("killed in the middle", func(t *testing.T) {
		t.Parallel()
		a, b := elsewhere(t, 64<<20, nil)
		f, err := os.Open(b.path("file"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		pid, buf, killed := a.status().Daemon.PID, make([]byte, 1<<20), time.Time{}
		for n := 0; err == nil; n++ {
			if n == 2 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				killed = time.Now()
			}
			_, err = f.Read(buf)
		}
		took := time.Since(killed)
		if !errors.Is(err, syscall.EHOSTDOWN) || took > justVanished+slack {
			t.Errorf("%v after %v", err, took)
		}
		t.Logf("%v after %v", err, took)
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		a, b := elsewhere(t, 3<<20, nil)
		a.write("other", random(2, 3<<20))
		b.write("here", []byte("here"))
		b.hasSize("other", 3<<20)
		stopped(t, a, func() {
			begun := time.Now()
			failed := make(chan struct{})
			go func() {
				defer close(failed)
				b.failsWithin(justVanished, "file", syscall.EHOSTDOWN, begun)
			}()
			b.interrupted("other")
			b.killed("other")
			// Who wants nothing from the stopped device does not feel it.
			quick(t, "a file that is here", func() { b.read("here") })
			quick(t, "ls -l", func() { _ = exec.Command("ls", "-l", b.mnt).Run() })
			quick(t, "a new file", func() { b.write("new", []byte("new")) })
			quick(t, "shelf status", func() { b.status() })
			quick(t, "shelf status of what is waited for", func() { b.pathStatus(b.path("file")) })
			quick(t, "shelf why", func() { b.must("why", b.path("file")) })
			<-failed
		})
		b.shows("file", random(1, 3<<20))
		a.shows("new", []byte("new"))
	})
}

// elsewhere is two devices and a file on both, whose bytes are only on the first; then something happens
// to that one.
func elsewhere(t *testing.T, size int, then func(a *device)) (a, b *device) {
	a, b = newDevice(t, "a").up(), newDevice(t, "b")
	a.write("file", random(1, size))
	a.admit(b)
	b.up()
	b.hasSize("file", int64(size)) // not only the name
	if then != nil {
		then(a)
	}
	return a, b
}

// hasSize waits until a file shows with all its bytes, wherever they are.
func (d *device) hasSize(name string, size int64) {
	d.t.Helper()
	eventually(d.t, 15*time.Second, name+" is there", func() bool {
		fi, err := os.Stat(d.path(name))
		return err == nil && fi.Size() == size
	})
}

// stopped runs act while the daemon of d is stopped: connected as far as anybody can tell, and silent.
func stopped(t *testing.T, d *device, act func()) {
	t.Helper()
	pid := d.status().Daemon.PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	act()
}

// failsWithin reads a file as cat does, which has to fail no later than limit after begun.
func (d *device) failsWithin(limit time.Duration, name string, want syscall.Errno, begun time.Time) {
	d.t.Helper()
	_, err := os.ReadFile(d.path(name))
	took := time.Since(begun)
	if !errors.Is(err, want) || took > limit+slack {
		d.t.Errorf("%v after %v; want %v within %v", err, took, want, limit)
	}
	d.t.Logf("%v after %v", err, took)
}

// interrupted reads what cannot be had and gets a signal that it handles: EINTR, a moment later. Past the
// page cache, because a kernel lets only deadly signals interrupt a reader there.
func (d *device) interrupted(name string) {
	d.t.Helper()
	f, err := os.OpenFile(d.path(name), os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, unix.SIGUSR1)
	defer signal.Stop(ignored)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Go's scheduler interrupts this thread too, and so may the end of any program that another test has
	// started: all other signals have to wait.
	others, was := unix.Sigset_t{}, unix.Sigset_t{}
	for i := range others.Val {
		others.Val[i]--
	}
	others.Val[(unix.SIGUSR1-1)/64] &^= 1 << ((unix.SIGUSR1 - 1) % 64)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &others, &was); err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &was, nil) }()
	tid, sent := unix.Gettid(), time.Time{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(300 * time.Millisecond)
		sent = time.Now()
		_ = unix.Tgkill(os.Getpid(), tid, unix.SIGUSR1)
	}()
	_, err = unix.Pread(int(f.Fd()), make([]byte, 4096), 0)
	ended := time.Now()
	<-done
	took := ended.Sub(sent)
	// Not before its time either: programs get signals all the time.
	if !errors.Is(err, unix.EINTR) || took > interrupted+slack || took < interrupted*4/5 {
		d.t.Errorf("%v %v after the signal", err, took)
	}
	d.t.Logf("%v %v after the signal", err, took)
}

// killed is Ctrl-C on a cat of what cannot be had.
func (d *device) killed(name string) {
	d.t.Helper()
	cat := exec.Command("cat", d.path(name))
	if err := cat.Start(); err != nil {
		d.t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	sent := time.Now()
	_ = cat.Process.Signal(os.Interrupt)
	_ = cat.Wait()
	ws := cat.ProcessState.Sys().(syscall.WaitStatus)
	if took := time.Since(sent); !ws.Signaled() || took > interrupted+slack {
		d.t.Errorf("cat: %v, %v after Ctrl-C", cat.ProcessState, took)
	} else {
		d.t.Logf("cat ended %v after Ctrl-C", took)
	}
}

// quick runs what must not wait for anybody.
func quick(t *testing.T, what string, do func()) {
	t.Helper()
	begun := time.Now()
	do()
	if took := time.Since(begun); took > slack {
		t.Errorf("%s took %v", what, took)
	} else {
		t.Logf("%s: %v", what, took)
	}
}
