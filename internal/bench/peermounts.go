//go:build linux

package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// A remount is a mount that is made anew before it is read cold.
type remount struct {
	ends  *ends
	dir   string
	cache string   // what it keeps of what was read; "" for nothing
	args  []string // the program, with its arguments
	back  bool     // it goes into the background by itself when it has mounted

	process *process
}

// peer mounts it, and says which processes read and serve: those whose arguments name reads, or serves.
func (m *remount) peer(dir, reads, serves string) (*peer, error) {
	if err := m.ends.begin(func() error { return os.MkdirAll(m.dir, 0o755) }, m.down); err != nil {
		return nil, err
	}
	if err := m.anew(); err != nil {
		return nil, err
	}
	return &peer{dir: dir, forget: m.anew, cpu: func() (float64, float64) { return cpuOf(reads), cpuOf(serves) }}, nil
}

// anew mounts again, with nothing in any cache.
func (m *remount) anew() error {
	m.down()
	if m.cache != "" {
		kept, err := filepath.Glob(filepath.Join(m.cache, "*"))
		if err != nil {
			return err
		}
		for _, path := range kept {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	dropCaches()
	if err := m.up(); err != nil {
		return err
	}
	_, err := os.Stat(m.dir) // it answers: what is measured is no longer its start
	return err
}

func (m *remount) up() (err error) {
	if m.back {
		return m.ends.begin(func() error { return command(m.args[0], m.args[1:]...) }, nil)
	}
	if m.process, err = m.ends.start(m.args[0], m.args[1:]...); err != nil {
		return err
	}
	return m.process.until(func() bool { return mounted(m.dir) })
}

func (m *remount) down() {
	unmount(m.dir)()
	if m.process != nil {
		m.process.stop()
	}
}

// freePort is one that nobody has on loopback at the moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func listening(port int) func() bool {
	return func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			return false
		}
		c.Close()
		return true
	}
}
