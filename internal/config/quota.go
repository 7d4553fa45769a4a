package config

import (
	"errors"
	"strconv"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
)

// Quota is a part of the cache: a share in per cent, or a number of bytes. The zero value is the
// default, 80 %: favourites leave some of the cache to what is read.
type Quota struct {
	Percent int   // 1 to 100; 0: Bytes counts
	Bytes   int64 // at least 1
}

const defaultQuota = 80 // per cent

// DefaultHeat is what part of the cache the files may take that are kept because they are used.
const DefaultHeat = 25 // per cent

// ParseHeat reads a quota, or off: nothing is kept for that reason (negative Bytes).
func ParseHeat(s string) (Quota, error) {
	if s == "off" {
		return Quota{Bytes: -1}, nil
	}
	q, err := ParseQuota(s)
	if err != nil {
		err = errs.E("config.ParseHeat", errs.Invalid, "heat "+strconv.Quote(s), errors.New("say, for example, 25%, 5GiB or off"))
	}
	return q, err
}

// HeatOf is how many bytes of a cache of limit bytes may be kept because they are used; 0: off.
func (c Config) HeatOf(limit int64) int64 {
	switch {
	case c.Heat.Bytes < 0:
		return 0
	case c.Heat == Quota{}:
		return Quota{Percent: DefaultHeat}.Of(limit)
	}
	return c.Heat.Of(limit)
}

// ParseQuota reads "80%" or a size, as "50GiB".
func ParseQuota(s string) (Quota, error) {
	if num, ok := strings.CutSuffix(strings.TrimSpace(s), "%"); ok {
		if n, err := strconv.ParseUint(strings.TrimSpace(num), 10, 8); err == nil && n >= 1 && n <= 100 {
			return Quota{Percent: int(n)}, nil
		}
	} else if n, err := ParseSize(s); err == nil && n > 0 {
		return Quota{Bytes: n}, nil
	}
	return Quota{}, errs.E("config.ParseQuota", errs.Invalid, "quota "+strconv.Quote(s), errors.New("say, for example, 80% or 50GiB"))
}

// Of is how many bytes that are of a cache of limit bytes; never more than it.
func (q Quota) Of(limit int64) int64 {
	switch {
	case q.Bytes > 0:
		return min(q.Bytes, limit)
	case q.Percent == 0:
		q.Percent = defaultQuota
	}
	p := int64(q.Percent)
	return limit/100*p + limit%100*p/100 // a product could be too large
}
