package config

import (
	"math"
	"strconv"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
)

// units in the order in which FormatSize and people look for them.
var units = []struct {
	name string
	n    float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"PiB", 1 << 50},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"P", 1 << 50},
	{"B", 1},
}

// ParseSize reads a number of bytes: 10GiB, 1.5 TB, 500M (powers of 1024, as KiB), 1048576.
// Case does not matter. Negative, endless and unreasonable sizes are Invalid.
func ParseSize(s string) (int64, error) {
	num, unit := strings.TrimSpace(s), 1.0
	for _, u := range units {
		if len(num) > len(u.name) && strings.EqualFold(num[len(num)-len(u.name):], u.name) {
			num, unit = strings.TrimSpace(num[:len(num)-len(u.name)]), u.n
			break
		}
	}
	f, err := strconv.ParseFloat(num, 64)
	// ParseFloat also knows hex, "inf" and "nan"; a size consists of digits and a point.
	if err != nil || strings.Trim(num, "0123456789.") != "" || f*unit >= math.MaxInt64/2 {
		return 0, errs.E("config.ParseSize", errs.Invalid, "size "+strconv.Quote(s)+" (say, for example, 10GiB)", nil)
	}
	return int64(f * unit), nil
}

// FormatSize writes n for people: 0 B, 512 B, 1.5 KiB, 10 GiB. Three digits where they say something.
func FormatSize(n int64) string {
	if n < 1024 && n > -1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, i := float64(n), -1
	for math.Abs(f) >= 1023.95 && i < 4 {
		f, i = f/1024, i+1
	}
	prec := 1
	if math.Abs(f) >= 99.95 {
		prec = 0
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', prec, 64), ".0") + " " + units[i].name
}
