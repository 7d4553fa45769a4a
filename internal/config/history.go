package config

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// maxHistory bounds how long old states may be kept.
const maxHistory = 100 * 365 * 24 * time.Hour

// ParseHistory reads how long old states of files are kept: 30d, 12h, 4w, or off (negative).
func ParseHistory(s string) (time.Duration, error) {
	if s == "off" {
		return -1, nil
	}
	for unit, d := range map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		num, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(num, 10, 32); err == nil && n > 0 && time.Duration(n) <= maxHistory/d {
			return time.Duration(n) * d, nil
		}
	}
	return 0, errs.E("config.ParseHistory", errs.Invalid, "time "+strconv.Quote(s), errors.New("say, for example, 30d, 12h or off"))
}
