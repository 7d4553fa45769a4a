package config

import (
	"strconv"
	"strings"
	"time"
)

// FormatSpan is a length of time for people, in one unit: "3.5 s", "40 min", "9 years". It is not negative.
func FormatSpan(d time.Duration) string {
	const day, year = 24 * time.Hour, 8766 * time.Hour // of 365.25 days
	switch {
	case d < time.Millisecond:
		return strconv.FormatFloat(float64(d)/1e6, 'f', 2, 64) + " ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Second:
		return tenths(d.Seconds()) + " s"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 2*day:
		return strconv.Itoa(int(d.Hours())) + " h"
	case d < 2*year:
		return strconv.Itoa(int(d/day)) + " days"
	}
	return tenths(float64(d)/float64(year)) + " years"
}

func tenths(x float64) string { return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 1, 64), ".0") }
