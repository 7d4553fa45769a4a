package cache

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A disk that dies is told in a few lines, with all blocks counted.
func TestDamageIsFoldedInTheLog(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	s := open(t, dir, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	const n = 20
	for i := range uint64(n) {
		must(t, s.PutBlock(bg, block(i, 20<<10)))
	}
	must(t, s.Own(Owner{Pin, node(1)}, block(0, 20<<10).Digest))
	must(t, s.Sync(bg))
	for i := range int64(n) {
		overwrite(t, segmentFiles(t, dir)[0], i*recordLen(20<<10)+5000, []byte("damage"))
	}
	for i := range uint64(n) {
		_, _ = s.GetBlock(bg, block(i, 20<<10).Digest)
	}
	lines := func() (out []string) {
		for _, l := range strings.Split(log.String(), "\n") {
			if strings.Contains(l, droppedText) {
				out = append(out, l)
			}
		}
		return out
	}
	if got := lines(); len(got) != 2 || !strings.Contains(got[0], "class=pinned blocks=1 ") || !strings.Contains(got[1], "class=fetched blocks=1 ") {
		t.Errorf("%d lines for %d blocks: %q", len(got), n, got)
	}
	must(t, s.Close())
	if got := lines(); len(got) != 3 || !strings.Contains(got[2], "class=fetched blocks=18") {
		t.Errorf("the rest is not told at the end: %q", got)
	}
}
