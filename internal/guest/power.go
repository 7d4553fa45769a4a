package guest

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// power is what feeds this machine.
type power struct {
	battery bool // nothing but its battery does
	level   int  // of that, in per cent; -1: there is none, or it does not say
}

// readPower reads Linux's class of power supplies: root/sys/class/power_supply/*. A battery of a mouse or a
// phone is none of ours; a charger that is too weak to hold the level counts as a charger.
func readPower(root fs.FS) power {
	const dir = "sys/class/power_supply"
	p, sum, n := power{level: -1}, 0, 0
	all, _ := fs.ReadDir(root, dir)
	mains := false
	for _, e := range all {
		read := func(name string) string {
			b, _ := fs.ReadFile(root, path.Join(dir, e.Name(), name))
			return strings.TrimSpace(string(b))
		}
		switch kind := read("type"); {
		case read("scope") == "Device":
		case kind == "Battery" || kind == "UPS":
			p.battery = p.battery || read("status") == "Discharging"
			if c, err := strconv.Atoi(read("capacity")); err == nil {
				sum, n = sum+min(max(c, 0), 100), n+1
			}
		case kind == "Mains" || strings.HasPrefix(kind, "USB"):
			mains = mains || read("online") == "1"
		}
	}
	if n > 0 {
		p.level = sum / n
	}
	p.battery = p.battery && !mains
	return p
}
