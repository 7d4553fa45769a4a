package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/mounthelper/probe"
)

func (a *app) doctorCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "What is missing here, and the command that mends it",
		Args:  argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := probe.Report{Findings: append(a.Probe().Findings, a.examineHome(), a.examineConfig())}
			r.Findings = append(r.Findings, a.Examine(cmd.Context(), a.home)...)
			r.Findings = append(r.Findings, a.examineDaemon(cmd.Context())...)
			err := a.emit(doctorJSON{r.Ready(), r.Findings}, func() { a.showFindings(r) })
			if err == nil && !r.Ready() {
				return quiet{controlapi.E(controlapi.KindMissing, "", "something is to be mended")}
			}
			return err
		},
	}
}

type doctorJSON struct {
	OK       bool            `json:"ok"` // nothing that Shelf needs is missing or broken
	Findings []probe.Finding `json:"findings"`
}

func (a *app) examineHome() probe.Finding {
	dir := a.home.Dir()
	f := probe.Finding{ID: "home", Fatal: true}
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.OK, f.What = true, "the home folder "+dir+" is not made yet"
	case err != nil:
		f.What, f.Fix = "the home folder cannot be read: "+err.Error(), "ls -ld "+shellQuote(dir)
	case !fi.IsDir():
		f.What, f.Fix = "the home "+dir+" is not a folder", "mv "+shellQuote(dir)+" "+shellQuote(dir+".old")
	default:
		if err := a.home.Ensure(); err != nil {
			f.What, f.Fix = controlapi.FromError(err).Message, `sudo chown -R "$USER" `+shellQuote(dir)
			break
		}
		if err := a.home.Writable(); err != nil {
			e := controlapi.FromError(a.homeError(err))
			f.What, f.Fix = e.Message, e.Hint
			break
		}
		f.OK, f.What = true, "the home folder is "+dir
	}
	return f
}

func (a *app) examineConfig() probe.Finding {
	f := probe.Finding{ID: "config", OK: true, Fatal: true, What: "the configuration " + a.home.ConfigFile() + " is fine, or not there"}
	if _, err := config.Load(a.home); err != nil {
		f.OK, f.What, f.Fix = false, controlapi.FromError(err).Message, "${EDITOR:-vi} "+shellQuote(a.home.ConfigFile())
	}
	return f
}

func (a *app) examineDaemon(ctx context.Context) []probe.Finding {
	f := probe.Finding{ID: "daemon", OK: true, Fatal: true}
	c, st, err := a.connect(ctx)
	switch at := a.home.LastMounted(); {
	case isKind(err, controlapi.KindNotRunning) && at != "":
		f.OK, f.What, f.Fix = false, "the daemon ended without unmounting "+at, a.program()+" up"
		return []probe.Finding{f}
	case isKind(err, controlapi.KindNotRunning):
		f.What = "the daemon is not running"
		return []probe.Finding{f}
	case err != nil:
		f.OK, f.What, f.Fix = false, controlapi.FromError(err).Message, a.program()+" down --force"
		return []probe.Finding{f}
	}
	c.Close()
	f.What = "the daemon is running, not mounted"
	if st.Mount.Path != "" {
		f.What = "the daemon is running and mounted at " + st.Mount.Path
	}
	found := []probe.Finding{f}
	if st.Daemon.Version != a.Version {
		found = append(found, probe.Finding{ID: "version", What: "the running daemon is version " + st.Daemon.Version +
			", this program is " + a.Version, Fix: a.program() + " down && " + a.program() + " up"})
	}
	if n := int64(len(st.Lost)); n > 0 { // the warnings name them
		found = append(found, probe.Finding{ID: "lost", Fatal: true, What: "parts of " + files(n) + " were damaged here before another device surely had them",
			Fix: a.program() + " status"})
	}
	for _, w := range st.Warnings {
		found = append(found, probe.Finding{ID: "warning", What: w})
	}
	return found
}

func (a *app) showFindings(r probe.Report) {
	var rows [][]string
	for _, f := range r.Findings {
		mark := "ok"
		switch {
		case !f.OK && f.Fatal:
			mark = "PROBLEM"
		case !f.OK:
			mark = "note"
		}
		rows = append(rows, []string{mark, safe(f.What)})
		if !f.OK && f.Fix != "" {
			rows = append(rows, []string{"", "  mend it:  " + safe(f.Fix)})
		}
	}
	a.table("", rows)
	if r.Ready() {
		a.say("\nNothing that Shelf needs is missing.")
	}
}
