package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
)

// Limits are bytes per second of blocks between devices, by the network that they go over; 0: no limit.
type Limits struct {
	LANUp        int64 `json:"lan_up"` // lan_up = "20 MB/s"; so the others
	LANDown      int64 `json:"lan_down"`
	InternetUp   int64 `json:"internet_up"`
	InternetDown int64 `json:"internet_down"`
	RelayUp      int64 `json:"relay_up"`
	RelayDown    int64 `json:"relay_down"`
	MeteredUp    int64 `json:"metered_up"` // besides, for all that goes over the internet while that is metered
	MeteredDown  int64 `json:"metered_down"`
}

// LimitNames are the settings of [limits], in the order in which people see them.
var LimitNames = [...]string{"lan_up", "lan_down", "internet_up", "internet_down", "relay_up", "relay_down", "metered_up", "metered_down"}

// Named is the limit of one of LimitNames; nil for any other name.
func (l *Limits) Named(name string) *int64 {
	all := [...]*int64{&l.LANUp, &l.LANDown, &l.InternetUp, &l.InternetDown, &l.RelayUp, &l.RelayDown, &l.MeteredUp, &l.MeteredDown}
	if i := slices.Index(LimitNames[:], name); i >= 0 {
		return all[i]
	}
	return nil
}

// limitsOf reads the table [limits].
func limitsOf(table map[string]any) (l Limits, err error) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		to := l.Named(name)
		if to == nil {
			return l, errs.E("config.Limits", errs.Invalid, "", fmt.Errorf("limits has no %q; it has %s", name, strings.Join(LimitNames[:], ", ")))
		}
		if *to, err = ParseRate(fmt.Sprint(table[name])); err != nil {
			return l, errs.E("config.Limits", errs.Invalid, name, err)
		}
	}
	return l, nil
}

// MinRate is the least limit that makes sense: under a tighter one another device would give this one up.
const MinRate = 16 << 10

// ParseRate reads bytes per second: "2 MB/s", "500 KiB/s", 1048576; 0 for "off", which is no limit.
func ParseRate(s string) (int64, error) {
	if s == "off" {
		return 0, nil
	}
	num, _ := strings.CutSuffix(strings.TrimSpace(s), "/s")
	n, err := ParseSize(num)
	if err != nil || n == 0 {
		return 0, errs.E("config.ParseRate", errs.Invalid, "rate "+strconv.Quote(s), errors.New("say, for example, 2MB/s, or off for no limit"))
	}
	if n < MinRate {
		return 0, errs.E("config.ParseRate", errs.Invalid, "rate "+strconv.Quote(s), errors.New("at least "+FormatSize(MinRate)+"/s are needed"))
	}
	return n, nil
}
