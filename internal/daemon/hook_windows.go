package daemon

import (
	"context"
	"os/exec"
	"syscall"
)

// shellCommand is a command of the shell, which ends with ctx. The line is handed over as it
// stands: cmd has quoting rules of its own.
func shellCommand(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "cmd.exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd.exe /S /C "` + command + `"`, HideWindow: true}
	return cmd
}
