//go:build linux

package main

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestSameFileSeesEveryDifference(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, size := range []int{1 << 12, 1 << 20, 1<<20 + 5} { // a buffer's worth, less and more
		data := make([]byte, size)
		want := put("want", data)
		if err := sameFile(want, put("same", data)); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		changed := slices.Clone(data)
		changed[size-1]++
		for name, b := range map[string][]byte{"changed": changed, "shorter": data[:size-1], "longer": append(slices.Clone(data), 0)} {
			if sameFile(want, put(name, b)) == nil {
				t.Errorf("%d bytes: %s is taken for the same", size, name)
			}
		}
	}
}

func TestEndsUndoesAlsoWhatFailedAndLetsNothingBegin(t *testing.T) {
	var e ends
	var ended []string
	for _, name := range []string{"first", "second"} {
		_ = e.begin(func() error { return errors.New("half begun") }, func() { ended = append(ended, name) })
	}
	p, err := e.start("sleep", "1000")
	if err != nil {
		t.Fatal(err)
	}
	e.all()
	if !p.ended() {
		t.Error("the process outlives the run")
	}
	if want := []string{"second", "first"}; !slices.Equal(ended, want) {
		t.Errorf("ended %q, want %q", ended, want)
	}
	began := make(chan struct{})
	go func() { _ = e.begin(func() error { close(began); return nil }, nil) }()
	select {
	case <-began:
		t.Error("something begins after the end")
	case <-time.After(20 * time.Millisecond):
	}
}

func TestInTurn(t *testing.T) {
	var order []int
	m, err := inTurn(3, 2, 2, func(column, round int) ([]float64, error) {
		order = append(order, column)
		if column == 1 && round < 2 {
			return []float64{math.NaN(), float64(10 * round)}, nil
		}
		return []float64{float64(round), float64(-round)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{0, 1, 0, 1, 0, 1}; !slices.Equal(order, want) {
		t.Errorf("columns were taken in the order %v", order)
	}
	if m[0][0] != 1 || m[1][0] != -1 || m[1][1] != 0 || m[0][1] != 2 {
		t.Errorf("medians %v", m)
	}
}

func TestLinkDelays(t *testing.T) {
	var e ends
	t.Cleanup(e.all)
	const delay = 10 * time.Millisecond
	l, err := newLink(&e, 10e6, delay, time.Second)
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatal(err)
	case err != nil:
		t.Skip(err) // not root, or no TUN
	}
	ms, err := tlsRoundTrip(l.over(), 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if ms := slices.Min(ms); ms < 20 {
		t.Errorf("a round trip of %v ms over two ways of %v", ms, delay)
	}
	const size = 4 << 20
	mb, err := tlsStream(l.over(), size)
	if err != nil {
		t.Fatal(err)
	}
	if mb > 10 {
		t.Errorf("%v MB/s over a line for 10", mb)
	}
}
