package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionJSON struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source, "" when not known
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "The version of this program",
		Args:  argCount(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			v := versionJSON{a.Version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
			return a.emit(v, func() {
				rev := ""
				if v.Revision != "" {
					rev = v.Revision + ", "
				}
				a.say("shelf %s (%s%s, %s/%s)", v.Version, rev, v.Go, v.OS, v.Arch)
			})
		},
	}
}

// revision is the commit that this program was built from, with "+" when files had changed.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	rev, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+"
		}
	}
	if rev == "" {
		return ""
	}
	return rev + dirty
}
