package config

import (
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

func TestParseHistory(t *testing.T) {
	for s, want := range map[string]time.Duration{"30d": 720 * time.Hour, "12h": 12 * time.Hour, "4w": 672 * time.Hour, "off": -1} {
		if got, err := ParseHistory(s); got != want || err != nil {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "0d", "d", "-1d", "1.5d", "30", "30 d", "99999999w", "9999999999999999999h"} {
		if _, err := ParseHistory(s); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
	c, err := Parse("history = \"2d\"")
	if err != nil || c.History != 48*time.Hour {
		t.Errorf("%+v, %v", c, err)
	}
}
