package guest

import (
	"io/fs"
	"strconv"
	"strings"
)

// Resources that Linux tells the pressure of (PSI), and from which share of the last ten seconds in which
// somebody waited for them on it counts, until it is below the other. What Shelf itself does counts too, so
// the shares are high.
var resources = [...]struct {
	file, name string
	from, to   float64 // per cent
}{
	{"io", "disk", 50, 25},
	{"memory", "memory", 20, 10},
	{"cpu", "processor", 80, 50},
}

// readPressure names the resource that is short: "", disk, memory or processor. was is what it said last.
func readPressure(root fs.FS, was string) string {
	for _, r := range resources {
		b, err := fs.ReadFile(root, "proc/pressure/"+r.file)
		if err != nil {
			continue // not this kernel, or not here
		}
		limit := r.from
		if was == r.name {
			limit = r.to
		}
		if share, ok := some(string(b)); ok && share >= limit {
			return r.name
		}
	}
	return ""
}

// some is the share of the last ten seconds, in per cent, in which something waited:
//
//	some avg10=12.34 avg60=… avg300=… total=…
func some(text string) (share float64, ok bool) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "some" {
			continue
		}
		if v, found := strings.CutPrefix(words[1], "avg10="); found {
			share, err := strconv.ParseFloat(v, 64)
			return share, err == nil
		}
	}
	return 0, false
}
