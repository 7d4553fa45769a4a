//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// stage is two devices of one account, a and b, and a plain folder on the same disk.
type stage struct {
	sizes
	ends  *ends
	bin   string
	cache string // size of each device's cache: room for everything
	a, b  home
	plain string
	data  []byte // mib MiB of random bytes
}

// sizes are how much is measured.
type sizes struct {
	mib     int // of the large file
	files   int // small ones
	entries int // of the large folder
	rounds  int // of each pair

	profiles string // folder to keep profiles in; "" for none
}

type home struct {
	bin, home, mnt string
	net            string // the network namespace that its daemon is in, as nsenter takes it; "" for this one
}

// listen has the daemon wait on loopback: nothing of a run is to be seen on a network. In a namespace there is
// nothing but what the run has made.
func (h home) listen() []string {
	if h.net != "" {
		return nil
	}
	return []string{"--listen", "/ip4/127.0.0.1/tcp/0"}
}

func newStage(e *ends, dir string, n sizes) (*stage, error) {
	s := &stage{sizes: n, ends: e, bin: filepath.Join(dir, "shelf"), plain: filepath.Join(dir, "plain"), cache: fmt.Sprintf("%dMiB", 16*n.mib+4096)}
	build := exec.Command("go", "build", "-o", s.bin, "github.com/shelffs/shelf/cmd/shelf")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make does: with it the store's tables are elsewhere in memory
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	if err := os.MkdirAll(s.plain, 0o755); err != nil {
		return nil, err
	}
	s.data = make([]byte, n.mib<<20)
	rand.Read(s.data)
	s.a = home{bin: s.bin, home: filepath.Join(dir, "a"), mnt: filepath.Join(dir, "mnt-a")}
	s.b = home{bin: s.bin, home: filepath.Join(dir, "b"), mnt: filepath.Join(dir, "mnt-b")}
	return s, e.begin(func() error { return s.pair(s.a, s.b) }, func() { down(s.a, s.b) })
}

// pair makes an account with two devices, called a and b, and mounts both.
func (s *stage) pair(a, b home) error {
	for _, h := range []home{a, b} { // what is cold must stay so
		if err := os.MkdirAll(h.home, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(h.home, "config.toml"), []byte("heat = \"off\"\n"), 0o600); err != nil {
			return err
		}
	}
	if err := s.up(a, "--name", "a"); err != nil {
		return err
	}
	return s.join(a, b, "b")
}

// up starts a home's daemon and mounts it.
func (s *stage) up(h home, args ...string) error {
	args = append([]string{"up", h.mnt, "--cache-size", s.cache}, args...)
	_, err := h.shelf(append(args, h.listen()...)...)
	return err
}

// join admits h to the account of another home, and mounts it.
func (s *stage) join(to, h home, name string) error {
	invite := to.command(context.Background(), "invite", "--yes", "--json")
	out, err := invite.StdoutPipe()
	if err != nil {
		return err
	}
	if err := invite.Start(); err != nil {
		return err
	}
	var token struct{ Token string }
	if err := json.NewDecoder(out).Decode(&token); err != nil {
		return err
	}
	if _, err := h.shelf(append([]string{"join", token.Token, "--name", name}, h.listen()...)...); err != nil {
		return err
	}
	if err := invite.Wait(); err != nil {
		return err
	}
	return s.up(h)
}

// restart ends a home's daemon and starts it again, and returns when it has found the other device.
func (s *stage) restart(h home) error {
	if _, err := h.shelf("down"); err != nil {
		return err
	}
	if err := s.ends.begin(func() error { return s.up(h) }, nil); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if st, err := h.status(); err == nil && len(st.Peers) > 0 && st.Peers[0].Connected {
			return nil
		}
	}
	return fmt.Errorf("the devices did not find each other again")
}

func down(homes ...home) {
	for _, h := range homes {
		_, _ = h.shelf("down")
	}
}

func (h home) command(ctx context.Context, args ...string) *exec.Cmd {
	args = append([]string{h.bin, "--home", h.home}, args...)
	if h.net != "" {
		args = append([]string{"nsenter", "--net=" + h.net}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "SHELF_KEYRING=off")
	return cmd
}

func (h home) shelf(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out, err := h.command(ctx, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("shelf %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// status is what `shelf status --json` says, as far as it is looked at here.
type status struct {
	Daemon struct{ PID int }
	Peers  []struct{ Connected bool }
}

func (h home) status() (st status, err error) {
	out, err := h.command(context.Background(), "status", "--json").Output()
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(out, &st)
}

// usage is the CPU seconds that the daemon has used and its resident memory in MiB.
func (h home) usage() (cpu, rss float64) {
	st, err := h.status()
	if err != nil {
		return 0, 0
	}
	return usageOf(st.Daemon.PID)
}

func usageOf(pid int) (cpu, rss float64) {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])); len(f) > 13 {
		user, _ := strconv.ParseFloat(f[11], 64)
		system, _ := strconv.ParseFloat(f[12], 64)
		cpu = (user + system) / 100
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseFloat(strings.Fields(kib)[0], 64)
			rss = n / 1024
		}
	}
	return cpu, rss
}

// sees waits until path is there with that size.
func sees(path string, size int64) error {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		if fi, err := os.Stat(path); err == nil && fi.Size() == size {
			return nil
		}
	}
	return fmt.Errorf("%s did not appear", path)
}
