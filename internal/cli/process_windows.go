package cli

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// eventsFD is standard output: Windows passes no further descriptors.
const eventsFD = 1

// detach makes cmd a process of its own that outlives this one and its console.
func detach(cmd *exec.Cmd, events *os.File) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
	cmd.Stdout = events
}

func hardenProcess() {}

// terminate cannot ask on Windows; both end the process.
func terminate(pid int) error { return kill(pid) }
func kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}
