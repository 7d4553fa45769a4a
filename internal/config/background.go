package config

import (
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
)

// Background says when work that nobody waits for stands back. The zero value is the default.
type Background struct {
	Battery    *int     `json:"battery"`     // per cent: on battery at this level or below pins wait; 0: never; null: the default
	Metered    string   `json:"metered"`     // auto, yes or no; "" as auto
	Interfaces []string `json:"interfaces"`  // patterns of interfaces over which every byte costs
	NoPressure bool     `json:"no_pressure"` // go on at full pace when disk, memory or processors are short
}

// backgroundTable is a Background as it is written:
//
//	[background]
//	battery = "30%"
//	metered = "auto"
//	interfaces = ["wwan*", "usb0"]
//	pressure = true
type backgroundTable struct {
	Battery    *string  `toml:"battery"`
	Metered    *string  `toml:"metered"`
	Interfaces []string `toml:"interfaces"`
	Pressure   *bool    `toml:"pressure"`
}

func (t backgroundTable) background() (b Background, err error) {
	const op = "config.Background"
	if t.Battery != nil {
		num, ok := strings.CutSuffix(strings.TrimSpace(*t.Battery), "%")
		n, err := strconv.ParseUint(strings.TrimSpace(num), 10, 8)
		if err != nil || !ok || n > 100 {
			return b, errs.E(op, errs.Invalid, "battery "+strconv.Quote(*t.Battery),
				errors.New(`say a level, for example battery = "30%"; "0%" for never, "100%" for whenever it is in use`))
		}
		b.Battery = new(int(n))
	}
	if t.Metered != nil {
		if b.Metered = *t.Metered; !slices.Contains([]string{"auto", "yes", "no"}, b.Metered) {
			return b, errs.E(op, errs.Invalid, "metered "+strconv.Quote(b.Metered), errors.New("say auto, yes or no"))
		}
	}
	for _, p := range t.Interfaces {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return b, errs.E(op, errs.Invalid, "interface "+strconv.Quote(p), errors.New(`say a name or a pattern, for example "wwan*"`))
		}
	}
	b.Interfaces = t.Interfaces
	b.NoPressure = t.Pressure != nil && !*t.Pressure
	return b, nil
}
