package cli

import (
	"context"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

// foreground runs the daemon in this process, for service managers. It takes over from a
// daemon in the background that has nothing mounted; one that has is Busy.
func (a *app) foreground(ctx context.Context, s config.Start) error {
	if err := a.takeOver(ctx); err != nil {
		return err
	}
	var phrase string
	told := false
	emit := func(ev controlapi.StartEvent) {
		switch {
		case ev.Phrase != "":
			phrase = ev.Phrase
		case ev.Ready != nil:
			notify("READY=1\nSTATUS=" + readyText(*ev.Ready))
			told = true
			_ = a.emit(upResult(*ev.Ready, phrase, false), func() {
				if phrase != "" {
					a.showPhrase(phrase)
				}
				a.showReady(*ev.Ready)
				a.say("Ctrl-C flushes, unmounts and ends it.")
			})
		}
	}
	stopping := context.AfterFunc(ctx, func() { notify("STOPPING=1") })
	defer stopping()
	if err := a.serve(ctx, s, newLog(a.Stderr), emit); err != nil {
		if told {
			return err
		}
		return a.upFailed(controlapi.Ready{}, phrase, err)
	}
	return nil
}

// takeOver ends a daemon of this home that has nothing mounted.
func (a *app) takeOver(ctx context.Context) error {
	c, st, err := a.connect(ctx)
	if isKind(err, controlapi.KindNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	if st.Mount.Path != "" {
		return controlapi.E(controlapi.KindRunning, "end it first: "+a.program()+" down",
			"a shelf daemon (process %d) runs already and is mounted at %s", st.Daemon.PID, st.Mount.Path)
	}
	if err := c.Stop(ctx, controlapi.StopRequest{}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	return a.home.WaitUnlocked(ctx)
}

func isKind(err error, k controlapi.Kind) bool {
	return err != nil && controlapi.FromError(err).Kind == k
}
