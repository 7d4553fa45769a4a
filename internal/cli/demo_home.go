package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

// demoHome is one of the demo's devices, used as a person would: by the command line.
type demoHome struct {
	*demo `json:"-"`
	Name  string `json:"name"`
	Home  string `json:"home"`
	Mount string `json:"mount"`
}

// fetchNothingAhead has the home bring only what is opened: that is what the demo shows.
func (h *demoHome) fetchNothingAhead() error {
	home := config.Home(h.Home)
	if err := home.Ensure(); err != nil {
		return err
	}
	return config.WriteFile(home.ConfigFile(), []byte("heat = \"off\"\n"))
}

// command prepares `shelf --home … args --json`. It ends by SIGTERM with ctx.
func (h *demoHome) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, h.exe, append([]string{"--home", h.Home, "--json"}, args...)...)
	// Nothing of the demo goes to the person's keyring.
	cmd.Env = append(without(os.Environ(), "NOTIFY_SOCKET"), "SHELF_KEYRING=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// run runs a command and decodes the last line of its output into result, if not nil. An error
// is the one that the command told.
func (h *demoHome) run(ctx context.Context, result any, args ...string) (time.Duration, error) {
	var out, errOut bytes.Buffer
	cmd := h.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		return took, h.told(ctx, args[0], errOut.Bytes(), err)
	}
	if result == nil {
		return took, nil
	}
	line := lastLine(out.Bytes())
	if err := json.Unmarshal(line, result); err != nil {
		return took, controlapi.E("protocol", "", "%s: shelf %s: no result: %s", h.Name, args[0], err)
	}
	return took, nil
}

// told finds the error in what a command printed with --json.
func (h *demoHome) told(ctx context.Context, command string, stderr []byte, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var f controlapi.Failure
	if json.Unmarshal(lastLine(stderr), &f) == nil && f.Error != nil {
		f.Error.Message = h.Name + ": shelf " + command + ": " + f.Error.Message
		return f.Error
	}
	return controlapi.E("error", strings.TrimSpace(string(stderr)), "%s: shelf %s: %s", h.Name, command, err)
}

func lastLine(b []byte) []byte {
	b = bytes.TrimSpace(b)
	return b[bytes.LastIndexByte(b, '\n')+1:]
}

// invite opens an invitation that accepts the first asker. wait returns when that has joined.
func (h *demoHome) invite(ctx context.Context) (token string, wait func() error, err error) {
	var errOut bytes.Buffer
	cmd := h.command(ctx, "invite", "--yes")
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", nil, err
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadBytes('\n')
	wait = func() error {
		_, _ = io.Copy(io.Discard, lines)
		if err := cmd.Wait(); err != nil {
			return h.told(ctx, "invite", errOut.Bytes(), err)
		}
		return nil
	}
	var t controlapi.InviteToken
	if err == nil {
		err = json.Unmarshal(first, &t)
	}
	if err != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if werr := wait(); werr != nil {
			err = werr
		}
		return "", nil, err
	}
	return t.Token, wait, nil
}

func (h *demoHome) status(ctx context.Context) (st controlapi.Status, err error) {
	_, err = h.run(ctx, &st, "status")
	return st, err
}
