//go:build linux

package scenario

import (
	"bufio"
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the demo invites to try works, also pasted into a shell all at once.
func TestDemoInvitation(t *testing.T) {
	t.Parallel()
	newDevice(t, "nobody") // says when mounts cannot be tested here
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	demo := exec.CommandContext(ctx, shelfBin, "demo")
	demo.Env = append(environment(), "TMPDIR="+t.TempDir())
	demo.Cancel = func() error { return demo.Process.Signal(syscall.SIGINT) }
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	var account, commands []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		account = append(account, lines.Text())
		if command, ok := strings.CutPrefix(lines.Text(), "  "); ok {
			commands = append(commands, command)
		} else if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	shell := exec.CommandContext(ctx, "sh", "-e")
	shell.Env = demo.Env
	shell.Stdin = strings.NewReader(strings.Join(commands, "\n"))
	said, err := shell.CombinedOutput()
	if err != nil || len(commands) < 5 || !strings.Contains(string(said), "\nhello\n") {
		t.Errorf("of %q came, with %v:\n%s", commands, err, said)
	}
	_ = demo.Process.Signal(syscall.SIGINT)
	for lines.Scan() {
		account = append(account, lines.Text())
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("the demo ends with %v:\n%s", err, strings.Join(account, "\n"))
	}
}
