package scenario

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs/fstest"
	"github.com/shelffs/shelf/internal/simnet"
)

// actor is a device in a play: a real daemon with a mount, or the same parts in this process.
type actor interface {
	create()           // a new account
	admit(other actor) // other joins this account
	away()             // gone: nothing of it can be reached
	back()
	sys() fstest.Sys // its files, while it is there
	pin(path string) error
	blocksIn() int64 // content blocks that came over the network since it is there
}

// A stage makes actors of one kind that can reach each other.
type stage func(t *testing.T) func(name string) actor

func memoryStage(t *testing.T) func(string) actor {
	m := newMemory()
	m.net = simnet.New(simnet.Link{Latency: 200 * time.Microsecond})
	return func(name string) actor { return newMemoryDevice(t, m, name) }
}

// play runs one script on each stage that this system has, with n devices of one account.
func play(t *testing.T, n int, script func(t *testing.T, d []actor)) {
	t.Parallel()
	for name, stage := range stages() {
		t.Run(name, func(t *testing.T) {
			cast := stage(t)
			var d []actor
			for i := range n {
				d = append(d, cast(string(rune('a'+i))))
				if i == 0 {
					d[0].create()
				} else {
					d[i/2].admit(d[i]) // not always the first device invites
				}
			}
			script(t, d)
		})
	}
}

// random returns n incompressible bytes that depend only on the seed.
func random(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// eventually polls until ok; what the poll waits for is never timed, only bounded.
func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	limit *= 3 // what is waited for is not measured: the machine may be busy
	for end := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func put(t *testing.T, a actor, path, data string) {
	t.Helper()
	f, err := a.sys().Open(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Pwrite([]byte(data), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func get(a actor, path string) (string, error) {
	f, err := a.sys().Open(path, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var out []byte
	for buf := make([]byte, 64<<10); ; {
		n, err := f.Pread(buf, int64(len(out)))
		if err != nil || n == 0 {
			return string(out), err
		}
		out = append(out, buf[:n]...)
	}
}

// tree lists everything below path with the contents of files, sorted.
func tree(a actor, path string) string {
	var lines []string
	names, err := a.sys().ReadDir(path)
	if err != nil {
		return err.Error()
	}
	for _, n := range names {
		p := strings.TrimSuffix(path, "/") + "/" + n
		st, err := a.sys().Lstat(p)
		switch {
		case err != nil:
			lines = append(lines, p+": "+err.Error())
		case st.Type == fstest.Dir:
			lines = append(lines, p+"/", tree(a, p))
		default:
			data, err := get(a, p)
			if err != nil {
				data = err.Error()
			}
			lines = append(lines, fmt.Sprintf("%s=%.40s", p, data))
		}
	}
	slices.Sort(lines)
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// agree waits until all show the same tree and it holds each of want.
func agree(t *testing.T, d []actor, want ...string) string {
	t.Helper()
	var last []string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		last = nil
		for _, a := range d {
			last = append(last, tree(a, "/"))
		}
		same := true
		for _, s := range last {
			same = same && s == last[0]
		}
		for _, w := range want {
			same = same && strings.Contains(last[0], w)
		}
		if same {
			return last[0]
		}
	}
	t.Fatalf("no agreement on %q:\n%s", want, strings.Join(last, "\n--\n"))
	return ""
}

func TestPlayNamesFirstBytesLater(t *testing.T) {
	play(t, 4, func(t *testing.T, d []actor) {
		for i, a := range d {
			put(t, a, fmt.Sprintf("/from-%d", i), strings.Repeat(string(rune('0'+i)), 100_000))
		}
		for _, a := range d {
			eventually(t, 10*time.Second, "all names", func() bool {
				names, _ := a.sys().ReadDir("/")
				return len(names) == len(d)
			})
			if n := a.blocksIn(); n != 0 {
				t.Errorf("%d blocks moved for names", n)
			}
		}
		agree(t, d, "/from-3=333")
	})
}

func TestPlayOffline(t *testing.T) {
	play(t, 2, func(t *testing.T, d []actor) {
		put(t, d[0], "/pinned", strings.Repeat("p", 300_000))
		put(t, d[0], "/other", strings.Repeat("o", 300_000))
		eventually(t, 10*time.Second, "names and sizes", func() bool {
			p, perr := d[1].sys().Lstat("/pinned")
			o, oerr := d[1].sys().Lstat("/other")
			return perr == nil && oerr == nil && p.Size == 300_000 && o.Size == 300_000
		})
		if err := d[1].pin("/pinned"); err != nil {
			t.Fatal(err)
		}
		d[0].away()
		if got, err := get(d[1], "/pinned"); err != nil || len(got) != 300_000 {
			t.Errorf("pinned, offline: %d bytes, %v", len(got), err)
		}
		if _, err := get(d[1], "/other"); !errors.Is(err, syscall.EHOSTDOWN) {
			t.Errorf("not here, offline: %v, want EHOSTDOWN", err)
		}
		d[0].back()
		agree(t, d, "/other=ooo")
	})
}
