package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// hookTime is how long the command of a hook may take; then it is ended with all it has started.
const hookTime = 30 * time.Second

// hook is a command of the settings that is told of conflicts. It runs once at a time.
type hook struct {
	command string // of the shell
	home    string
	limit   time.Duration // hookTime
	log     *slog.Logger
}

// run runs it and waits for its end. That it fails is logged, and changes nothing.
func (h *hook) run(ctx context.Context, e controlapi.ConflictEvent) {
	end := ctx
	ctx, cancel := context.WithTimeout(ctx, h.limit)
	defer cancel()
	in, err := controlapi.Marshal(e)
	if err != nil {
		h.log.Warn("hook not run", "err", err)
		return
	}
	cmd := shellCommand(ctx, h.command)
	cmd.Stdin = bytes.NewReader(append(in, '\n'))
	said := &tail{limit: 2048}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Dir = h.home
	cmd.WaitDelay = time.Second // for who holds its output open after it
	cmd.Env = append(os.Environ(), "SHELF_EVENT="+e.Event, "SHELF_SUMMARY="+e.Summary, "SHELF_FOLDER="+e.Folder,
		"SHELF_COUNT="+strconv.Itoa(e.Count), "SHELF_DEVICES="+strings.Join(e.Devices, ","), "SHELF_HOME="+h.home, "SHELF_MOUNT="+e.Mount)
	switch err := cmd.Run(); {
	case err == nil || end.Err() != nil:
	case ctx.Err() != nil:
		h.log.Warn("the command on_conflict was ended", "after", h.limit)
	default:
		h.log.Warn("the command on_conflict failed", "err", err, "said", said.String())
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	b     []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-t.limit):]
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.b)) }
