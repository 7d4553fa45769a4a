//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/config"
)

// profile reads one more cold file, and keeps what both daemons' processors did meanwhile, for go tool
// pprof: about as long as the read takes.
func (s *stage) profile(read time.Duration) error {
	if s.profiles == "" {
		return nil
	}
	if err := s.onlyOnA("profiled", 95); err != nil {
		return err
	}
	dropCaches()
	var profiles sync.WaitGroup
	var serving, reading error
	seconds := max(1, int(read.Seconds()))
	profiles.Go(func() { serving = s.a.profile(filepath.Join(s.profiles, "serving.pprof"), seconds) })
	profiles.Go(func() { reading = s.b.profile(filepath.Join(s.profiles, "reading.pprof"), seconds) })
	time.Sleep(100 * time.Millisecond) // they have begun
	err := readAll(filepath.Join(s.b.mnt, "profiled"))
	profiles.Wait()
	return errors.Join(err, serving, reading)
}

// profile writes a CPU profile of a home's daemon over so many seconds to a file.
func (h home) profile(to string, seconds int) error {
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", config.Home(h.home).Socket())
	}}}
	defer c.CloseIdleConnections()
	r, err := c.Get(fmt.Sprintf("http://shelf/debug/pprof/profile?seconds=%d", seconds))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("profile of the daemon in %s: %s", h.home, r.Status)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r.Body); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
