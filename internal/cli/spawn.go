package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

const (
	maxLog   = 8 << 20          // a longer shelf.log is put aside at the next start
	stopWait = 30 * time.Second // for a daemon that was asked to end
)

// spawn starts a daemon in the background and returns when it is ready. Events before that
// go to on. When ctx ends first, the daemon is ended again.
func (a *app) spawn(ctx context.Context, s config.Start, on func(controlapi.StartEvent)) (controlapi.Ready, error) {
	var ready controlapi.Ready
	err := s.Home.Ensure()
	if err == nil {
		err = s.Home.Writable()
	}
	if err != nil {
		return ready, a.homeError(err)
	}
	cmd, events, logAt, err := a.startDaemon(s)
	if err != nil {
		return ready, err
	}
	defer events.Close()
	stop := context.AfterFunc(ctx, func() { _ = terminate(cmd.Process.Pid) })
	defer stop()
	dec := json.NewDecoder(events)
	for {
		var ev controlapi.StartEvent
		if err := controlapi.Decode(dec, &ev); err != nil {
			return ready, a.diedEarly(ctx, cmd, logAt)
		}
		switch {
		case ev.Error != nil:
			_ = cmd.Wait()
			if ctx.Err() != nil {
				return ready, ctx.Err()
			}
			return ready, ev.Error
		case ev.Ready != nil:
			if !stop() { // ended while it became ready
				_ = cmd.Wait()
				return ready, ctx.Err()
			}
			return *ev.Ready, cmd.Process.Release()
		case on != nil:
			on(ev)
		}
	}
}

// startDaemon runs this program as the daemon of s.Home. logAt is where its log begins.
func (a *app) startDaemon(s config.Start) (cmd *exec.Cmd, events *os.File, logAt int64, err error) {
	const op = "cli.startDaemon"
	exe := a.Executable
	if exe == "" {
		if exe, err = os.Executable(); err != nil {
			return nil, nil, 0, errs.E(op, errs.Other, "this program", err)
		}
	}
	log, logAt, err := openLog(s.Home)
	if err != nil {
		return nil, nil, 0, err
	}
	defer log.Close()
	options, err := controlapi.Marshal(s)
	if err != nil {
		return nil, nil, 0, errs.E(op, errs.Invalid, "options", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, 0, errs.E(op, errs.Other, "pipe", err)
	}
	defer w.Close()
	cmd = exec.Command(exe, "daemon", "--home", s.Home.Dir(), "--events-fd", strconv.Itoa(eventsFD))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = without(os.Environ(), "NOTIFY_SOCKET")
	detach(cmd, w)
	in, err := cmd.StdinPipe()
	if err == nil {
		err = startCalm(cmd)
	}
	if err != nil {
		_ = r.Close()
		return nil, nil, 0, errs.E(op, errs.Other, exe, err)
	}
	_, _ = in.Write(options) // a daemon that does not read them says why
	_ = in.Close()
	return cmd, r, logAt, nil
}

// diedEarly explains a daemon that ended without a word on the pipe: by its last words in the log.
func (a *app) diedEarly(ctx context.Context, cmd *exec.Cmd, logAt int64) error {
	err := cmd.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	how := "it ended"
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		how = exit.String()
	}
	return controlapi.E(controlapi.KindOther, "its log: "+a.home.LogFile()+tail(a.home.LogFile(), logAt, 5),
		"the shelf daemon did not start (%s)", how)
}

// openLog opens HOME/shelf.log for appending and tells its length.
func openLog(h config.Home) (*os.File, int64, error) {
	path := h.LogFile()
	if fi, err := os.Stat(path); err == nil && fi.Size() > maxLog {
		_ = os.Rename(path, path+".1")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, errs.FromOS("cli.openLog", path, err)
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		end = 0
	}
	return f, end, nil
}

// tail gives the last n lines that were written to a log after offset, each on a line of its own.
func tail(path string, offset int64, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.NewSectionReader(f, offset, 1<<20))
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return ""
	}
	lines := strings.Split(string(b), "\n")
	return "\n" + strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func without(env []string, name string) []string {
	out := make([]string, 0, len(env))
	for _, kv := range env {
		if !strings.HasPrefix(kv, name+"=") {
			out = append(out, kv)
		}
	}
	return out
}
