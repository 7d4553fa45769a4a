package cli

import (
	"strings"
	"testing"
)

func TestQRCodeIsSmallAndShownWhole(t *testing.T) {
	token := "shelf-join-" + strings.Repeat("ag62l755btnog4oxy4", 15) // with some eight addresses
	code := qrCode(token)
	lines := strings.Split(strings.TrimSuffix(code, "\n"), "\n")
	for _, l := range lines {
		if len([]rune(l)) != len([]rune(lines[0])) {
			t.Fatalf("not a rectangle:\n%s", code)
		}
	}
	if len(lines) > 29 {
		t.Errorf("a token of %d characters takes %d lines:\n%s", len(token), len(lines), code)
	}
	for _, c := range []struct {
		width, height int
		fits          bool
	}{
		{80, 24, false}, {80, len(lines) + 11, false}, {80, len(lines) + 12, true}, {120, 50, true},
		{40, 200, false}, {0, 0, true},
	} {
		if got := qrFits(code, token, c.width, c.height); got != c.fits {
			t.Errorf("on %d × %d it fits: %v", c.width, c.height, got)
		}
	}
}
