//go:build unix

package cli

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// eventsFD is the number under which a daemon finds its events descriptor.
const eventsFD = 3

// detach makes cmd a process of its own that outlives this one and its terminal.
func detach(cmd *exec.Cmd, events *os.File) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.ExtraFiles = []*os.File{events}
	cmd.Dir = "/"
}

// hardenProcess keeps what the daemon knows out of core dumps and its files to the owner.
func hardenProcess() {
	unix.Umask(0o077)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// terminate asks a process to end; kill does not ask.
func terminate(pid int) error { return syscall.Kill(pid, syscall.SIGTERM) }
func kill(pid int) error      { return syscall.Kill(pid, syscall.SIGKILL) }
