package cli

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

// startFlags are the settings that can be given for one start.
type startFlags struct {
	cacheSize string
	name      string
	named     bool // name was given, if only as ""
	listen    []string
	names     string
	via       string
	others    bool
}

func (f *startFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cacheSize, "cache-size", "", "`size` limit of this device's cache for this run, as 20GiB (default 10GiB)")
	cmd.Flags().StringVar(&f.name, "name", "", "`name` of this device when it is made (default the computer's)")
	cmd.Flags().StringSliceVar(&f.listen, "listen", nil, "`address` to wait on for other devices, as :4001 (repeatable; default chosen once)")
	cmd.Flags().StringVar(&f.names, "names", "", "which names count as the same in the mount, and which cannot be: exact, windows or mac, as `system` (default this one)")
}

// start joins flags, configuration and defaults.
func (a *app) start(f startFlags) (config.Start, error) {
	s := config.Start{Home: a.home, Version: a.Version}
	if err := a.homeIsFolder(); err != nil {
		return s, err
	}
	conf, err := config.Load(a.home)
	if err != nil {
		return s, err
	}
	s.CacheSize, s.Name, s.Mountpoint, s.Listen, s.NoBrake = conf.CacheSize, conf.Name, conf.Mountpoint, conf.Listen, conf.NoBrake
	s.OnConflict, s.History, s.Names, s.Via = conf.OnConflict, conf.History, conf.Names, conf.Via
	s.Policies, s.Sweep = conf.Policies, conf.Sweep
	s.Background, s.Limits = conf.Background, conf.Limits
	s.AllowOther = conf.AllowOther || f.others
	if s.CacheSize == 0 {
		s.CacheSize = config.DefaultCacheSize
	}
	if s.Name == "" {
		s.Name = config.DefaultName()
	}
	if f.cacheSize != "" {
		if s.CacheSize, err = config.ParseCacheSize(f.cacheSize); err != nil {
			return s, err
		}
	}
	s.PinQuota = conf.PinQuota.Of(s.CacheSize)
	s.Heat = conf.HeatOf(s.CacheSize)
	if f.named {
		if s.Name, err = f.name, config.CheckName(f.name); err != nil {
			return s, err
		}
	}
	if f.via != "" {
		if s.Via, err = f.via, config.CheckVia(f.via); err != nil {
			return s, err
		}
	}
	if f.names != "" {
		if s.Names, err = f.names, config.CheckNames(f.names); err != nil {
			return s, err
		}
	}
	if len(f.listen) > 0 {
		s.Listen = f.listen
		for _, addr := range f.listen {
			if err := config.CheckListen(addr); err != nil {
				return s, err
			}
		}
	}
	s.Listen = config.ListenAddrs(s.Listen)
	return s, nil
}

func (a *app) upCmd() *cobra.Command {
	var f startFlags
	var foreground, noMount bool
	cmd := &cobra.Command{
		Use:   "up [MOUNTPOINT]",
		Short: "Start Shelf on this device and mount it",
		Long: `Start the daemon in the background and mount the folder (default ~/Shelf, or what
config.toml says). On a fresh home this makes an account and shows its recovery phrase, once.
Harmless when it is up already; after a crash it mends what was left.`,
		Args: argCount(0, 1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.named = cmd.Flags().Changed("name")
			s, err := a.start(f)
			if err != nil {
				return err
			}
			s.Create = true
			if noMount && len(args) > 0 {
				return usage("", "--no-mount and a mountpoint exclude each other")
			}
			if f.via == config.ViaWebDAV && (noMount || len(args) > 0) {
				return usage("", "--via webdav and a mountpoint, or --no-mount, exclude each other")
			}
			if f.others && (noMount || f.via == config.ViaWebDAV) {
				return usage("", "--allow-other and --no-mount, or --via webdav, exclude each other")
			}
			asked := asked{place: len(args) > 0 || f.via != "", others: f.others}
			if len(args) > 0 || noMount || f.others {
				s.Via = config.ViaFUSE
			}
			if s.Mountpoint, err = a.mountpoint(args, s.Mountpoint); err != nil {
				return err
			}
			if noMount || s.Via == config.ViaWebDAV {
				s.Mountpoint = ""
			}
			if foreground {
				return a.foreground(cmd.Context(), s)
			}
			var set []string
			for _, name := range []string{"cache-size", "name", "names", "listen"} {
				if cmd.Flags().Changed(name) {
					set = append(set, "--"+name)
				}
			}
			return a.up(cmd.Context(), s, asked, set)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.via, "via", "", "how to show the folder: fuse, or webdav where no FUSE is to be had (default fuse)")
	cmd.Flags().BoolVar(&f.others, "allow-other", false, "let other users of this computer into the mount, as far as modes and owners allow")
	cmd.Flags().BoolVar(&foreground, "foreground", false, "stay in this process until Ctrl-C or SIGTERM, for service managers")
	cmd.Flags().BoolVar(&noMount, "no-mount", false, "start without mounting")
	cmd.ValidArgsFunction = completeDirs
	return cmd
}

// mountpoint is the one asked for, else that of a crashed daemon, which has to be mended, else
// the configured or the default one. Absolute.
func (a *app) mountpoint(args []string, configured string) (string, error) {
	switch last := a.home.LastMounted(); {
	case len(args) > 0:
		return absMountpoint(args[0])
	case last != "":
		return last, nil
	case configured != "":
		return configured, nil
	}
	return config.DefaultMountpoint()
}

// absMountpoint refuses "", which is an unset variable of a script and not the working folder.
func absMountpoint(arg string) (string, error) {
	if arg == "" {
		return "", usage("", "the mountpoint is empty")
	}
	if runtime.GOOS == "windows" && len(arg) == 2 && arg[1] == ':' { // a drive letter
		return arg, nil
	}
	return filepath.Abs(arg)
}

// asked is what the person said of the mount: where, or how, it is to be; that others are let in.
type asked struct{ place, others bool }

// up brings the daemon and the mount up, whatever there is of them. set are the flags for a
// start that the person gave.
func (a *app) up(ctx context.Context, s config.Start, asked asked, set []string) error {
	for attempt := 0; ; attempt++ {
		c, st, err := a.connect(ctx)
		if err == nil {
			defer c.Close()
			if len(set) > 0 {
				a.note("Shelf is running already. Not used, for a start only: " + strings.Join(set, ", ") + ".")
			}
			return a.upRunning(ctx, c, st, s, asked)
		}
		if !isKind(err, controlapi.KindNotRunning) {
			return err
		}
		err = a.upFresh(ctx, s)
		// Somebody else was faster: use theirs.
		if !isKind(err, controlapi.KindRunning) || attempt == 3 {
			return err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// upFresh starts the daemon.
func (a *app) upFresh(ctx context.Context, s config.Start) error {
	var phrase string
	ready, err := a.spawn(ctx, s, func(ev controlapi.StartEvent) {
		if ev.Phrase != "" {
			phrase = ev.Phrase
		}
	})
	if err != nil {
		return a.upFailed(ready, phrase, err)
	}
	return a.emit(upResult(ready, phrase, false), func() {
		if phrase != "" {
			a.showPhrase(phrase)
			a.confirmNow(ctx, phrase)
		}
		a.showReady(ready)
	})
}

// upFailed tells of an account that was made by a start that failed later: its phrase is told
// only once.
func (a *app) upFailed(ready controlapi.Ready, phrase string, err error) error {
	if phrase == "" {
		return err
	}
	ready.Created = true
	if told := a.emit(upResult(ready, phrase, false), func() { a.showPhrase(phrase) }); told != nil {
		return told
	}
	return err
}

// upRunning mounts through a daemon that is there already, where that is wanted.
func (a *app) upRunning(ctx context.Context, c *client.Client, st controlapi.Status, s config.Start, asked asked) error {
	ready := controlapi.Ready{PID: st.Daemon.PID, Device: st.Device, Mount: st.Mount, Files: st.Files, Bytes: st.Bytes, Coming: st.Coming, Warnings: st.Warnings}
	already := func(how string, args ...any) error {
		return a.emit(upResult(ready, "", true), func() { a.say("Shelf is up already"+how, args...) })
	}
	elsewhere := func(want, how, at string) error {
		return controlapi.E("busy", "to change that: "+a.program()+" down && "+a.program()+" up "+want, "Shelf is %s already, at %s", how, at)
	}
	dav, url, at := s.Via == config.ViaWebDAV, st.Mount.URL, st.Mount.Path
	switch {
	case url != "" && (dav || !asked.place && !asked.others):
		return already(", served at %s.", safe(url))
	case url != "":
		return elsewhere("--via fuse", "served", url)
	case at != "" && asked.others && !st.Mount.Others:
		return elsewhere("--allow-other", "mounted", at)
	case at != "" && (!asked.place || !dav && samePath(at, s.Mountpoint)):
		return already(", mounted at %s.", safe(at))
	case at != "" && dav:
		return elsewhere("--via webdav", "mounted", at)
	case at != "":
		return elsewhere(shellQuote(s.Mountpoint), "mounted", at)
	case s.Mountpoint == "" && !dav:
		return already(" (process %d), not mounted.", ready.PID)
	}
	m, err := c.Mount(ctx, controlapi.MountRequest{Path: s.Mountpoint, Via: s.Via, AllowOther: s.AllowOther})
	if err != nil {
		return err
	}
	ready.Mount = m
	return a.emit(upResult(ready, "", true), func() { a.showReady(ready) })
}

// samePath compares two absolute paths, by what they lead to where the words differ.
func samePath(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	return realPath(a) == realPath(b)
}

// realPath resolves links in the folder of p, not in its last part, which may be a mount
// that does not answer.
func realPath(p string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(p))
	if err != nil {
		return filepath.Clean(p)
	}
	return filepath.Join(dir, filepath.Base(p))
}

type upJSON struct {
	Created        bool                    `json:"created"`
	AlreadyRunning bool                    `json:"already_running"`
	RecoveryPhrase string                  `json:"recovery_phrase,omitempty"`
	PID            int                     `json:"pid"`
	Device         controlapi.DeviceName   `json:"device"`
	Mount          controlapi.Mount        `json:"mount"`
	Files          int64                   `json:"files"`
	Bytes          int64                   `json:"bytes"`
	Coming         []controlapi.ComingFrom `json:"coming"`
	Warnings       []string                `json:"warnings"`
}

func upResult(r controlapi.Ready, phrase string, already bool) upJSON {
	if r.Warnings == nil {
		r.Warnings = []string{}
	}
	if r.Coming == nil {
		r.Coming = []controlapi.ComingFrom{}
	}
	return upJSON{r.Created, already, phrase, r.PID, r.Device, r.Mount, r.Files, r.Bytes, r.Coming, r.Warnings}
}

func readyText(r controlapi.Ready) string {
	what := "empty so far"
	if r.Files > 0 {
		what = files(r.Files) + ", " + size(r.Bytes)
	}
	what += coming(r.Coming)
	if r.Mount.URL != "" {
		return "Shelf is served at " + safe(r.Mount.URL) + ": " + what + "."
	}
	if r.Mount.Path == "" {
		return "Shelf is up, not mounted: " + what + "."
	}
	return "Shelf is mounted at " + safe(r.Mount.Path) + ": " + what + "."
}

func (a *app) showReady(r controlapi.Ready) {
	a.say("%s", readyText(r))
	if r.Mount.URL != "" {
		a.showDAV(r.Mount.URL)
	}
	for _, w := range r.Warnings {
		a.say("Note: %s", safe(sentence(w)))
	}
	if r.Created {
		a.say("\nTo add another device, run here:  %s invite", a.program())
	}
}

// program is how to call this program for the same home again.
func (a *app) program() string {
	if a.homeFlag == "" {
		return "shelf"
	}
	if usual, err := config.FindHome(""); err == nil && usual == a.home { // the daemon is always told its home
		return "shelf"
	}
	return "shelf --home " + shellQuote(a.homeFlag)
}

func completeDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// shellQuote writes s so that a shell reads it as one word.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == os.PathSeparator ||
			r == '/' || r == '.' || r == '_' || r == '-' || r == '~' || r == ':')
	}
	for _, r := range s {
		if !plain(r) {
			return "'" + quoteInner(s) + "'"
		}
	}
	return s
}
