package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) doctorCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "What is missing here, and the command that mends it",
		Args:  argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := a.examine(cmd.Context())
			missing := 0
			for _, f := range found {
				if !f.OK {
					missing++
				}
			}
			err := a.emit(map[string]any{"ok": missing == 0, "findings": found}, func() { a.showFindings(found, missing) })
			if err == nil && missing > 0 {
				return quiet{controlapi.E(controlapi.KindMissing, "", "%s to mend", count(int64(missing), "thing", "things"))}
			}
			return err
		},
	}
}

// examine looks at the machine, then at this home.
func (a *app) examine(ctx context.Context) []Finding {
	found := []Finding{}
	if a.Probe != nil {
		found = append(found, a.Probe(ctx)...)
	}
	found = append(found, a.examineHome(), a.examineConfig())
	return append(found, a.examineDaemon(ctx)...)
}

func (a *app) examineHome() Finding {
	f := Finding{Name: "home folder", Detail: a.home.Dir()}
	fi, err := os.Stat(a.home.Dir())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.OK = true
		f.Detail += ", not made yet"
	case err != nil:
		f.Detail = err.Error()
		f.Fix = "ls -ld " + shellQuote(a.home.Dir())
	case !fi.IsDir():
		f.Detail += " is not a folder"
		f.Fix = "mv " + shellQuote(a.home.Dir()) + " " + shellQuote(a.home.Dir()+".old")
	default:
		if err := a.home.Ensure(); err != nil {
			f.Detail = controlapi.FromError(err).Message
			f.Fix = "sudo chown -R \"$USER\" " + shellQuote(a.home.Dir())
			break
		}
		f.OK = true
	}
	return f
}

func (a *app) examineConfig() Finding {
	if _, err := config.Load(a.home); err != nil {
		return Finding{Name: "configuration", Detail: controlapi.FromError(err).Message, Fix: "${EDITOR:-vi} " + shellQuote(a.home.ConfigFile())}
	}
	return Finding{Name: "configuration", OK: true, Detail: a.home.ConfigFile()}
}

func (a *app) examineDaemon(ctx context.Context) []Finding {
	c, st, err := a.connect(ctx)
	if isKind(err, controlapi.KindNotRunning) {
		f := Finding{Name: "daemon", OK: true, Detail: "not running"}
		if at := a.home.LastMounted(); at != "" {
			f = Finding{Name: "daemon", Detail: "it ended without unmounting " + at, Fix: a.program() + " up"}
		}
		return []Finding{f}
	}
	if err != nil {
		e := controlapi.FromError(err)
		return []Finding{{Name: "daemon", Detail: e.Message, Fix: a.program() + " down --force"}}
	}
	c.Close()
	detail := "running, not mounted"
	if st.Mount.Path != "" {
		detail = "running, mounted at " + st.Mount.Path
	}
	found := []Finding{{Name: "daemon", OK: true, Detail: detail}}
	if st.Daemon.Version != a.Version {
		found = append(found, Finding{Name: "version", Detail: "the daemon is " + st.Daemon.Version + ", this program " + a.Version,
			Fix: a.program() + " down && " + a.program() + " up"})
	}
	for _, w := range st.Warnings {
		found = append(found, Finding{Name: "note", OK: true, Detail: w})
	}
	return found
}

func (a *app) showFindings(found []Finding, missing int) {
	var rows [][]string
	for _, f := range found {
		mark := "ok"
		if !f.OK {
			mark = "PROBLEM"
		}
		rows = append(rows, []string{mark, safe(f.Name), safe(f.Detail)})
	}
	a.table("", rows)
	if missing == 0 {
		a.say("\nNothing is missing.")
		return
	}
	a.say("\n%s to mend:", count(int64(missing), "thing", "things"))
	for _, f := range found {
		if !f.OK && f.Fix != "" {
			a.say("  %s", safe(f.Fix))
		}
	}
}
