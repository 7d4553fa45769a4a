package cli

import (
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is by how much the daemon's timers may be late. The runtime of Go looks after its threads every 20 µs
// while the program has anything to do, which where waking up is dear (in a virtual machine, on battery) takes a fifth
// of the processor time of a transfer; the system's usual slack is 50 µs.
const timerSlack = 250 * time.Microsecond

// startCalm starts a program whose timers have timerSlack: that is inherited from the thread that starts it.
func startCalm(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0) == nil {
		defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }() // the usual again
	}
	return cmd.Start()
}
