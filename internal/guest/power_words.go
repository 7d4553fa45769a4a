package guest

import (
	"regexp"
	"strconv"
	"strings"
)

// windowsPower reads SYSTEM_POWER_STATUS: ACLineStatus (0 offline, 1 online), BatteryFlag (128: there is none, 255: not
// known) and BatteryLifePercent (255: not known).
func windowsPower(line, flag, percent byte) power {
	p := power{level: -1}
	if flag == 128 || flag == 255 {
		return p
	}
	if percent <= 100 {
		p.level = int(percent)
	}
	p.battery = line == 0
	return p
}

// pmsetLevel is the level of a battery in what pmset says.
var pmsetLevel = regexp.MustCompile(`\t(\d{1,3})%;`)

// pmsetPower reads what pmset of macOS says:
//
//	Now drawing from 'Battery Power'
//	 -InternalBattery-0 (id=12345678)	41%; discharging; 3:07 remaining present: true
func pmsetPower(text string) power {
	p := power{level: -1, battery: strings.Contains(text, "'Battery Power'") || strings.Contains(text, "'UPS Power'")}
	if m := pmsetLevel.FindStringSubmatch(text); m != nil {
		p.level, _ = strconv.Atoi(m[1])
		p.level = min(p.level, 100)
	}
	return p
}
