package fstest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/fs/fusefs"
	"github.com/shelffs/shelf/fs/herald"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/mounthelper"
)

// A process must not use a mount that it serves. So the tests run in one process and the
// mounts in a child: this test binary again, told so by the environment. The child obeys
// lines on its standard input, and answers each with one line.
const (
	serveEnv    = "SHELF_FSTEST_SERVE"
	rulesEnv    = "SHELF_FSTEST_NAMES"
	adapterEnv  = "SHELF_FSTEST_ADAPTER"
	heraldEnv   = "SHELF_FSTEST_HERALD"
	hastyEnv    = "SHELF_FSTEST_HASTY"    // not empty: little is kept unsaved, and not for long
	othersEnv   = "SHELF_FSTEST_OTHERS"   // not empty: other users are let in
	requestsEnv = "SHELF_FSTEST_REQUESTS" // a file for the kernel's requests
	capsEnv     = "SHELF_FSTEST_CAPS"     // capabilities of the kernel to mount with and without, two numbers
	fleetingEnv = "SHELF_FSTEST_FLEETING" // a file that does not last; see fleeting
)

// mount mounts a filesystem by the adapter that the environment names.
func mount(ctx context.Context, dir string, core *fs.FS) (unmounter, error) {
	if os.Getenv(adapterEnv) == "cgofuse" {
		return mountVolume(ctx, dir, core)
	}
	o := fusefs.Options{Helper: helper, AllowOther: os.Getenv(othersEnv) != ""}
	if caps := os.Getenv(capsEnv); caps != "" {
		if _, err := fmt.Sscanf(caps, "%d,%d", &o.With, &o.Without); err != nil {
			return nil, err
		}
	}
	if name := os.Getenv(requestsEnv); name != "" {
		f, err := os.Create(name)
		if err != nil {
			return nil, err
		}
		o.Debug, o.Log = true, slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return fusefs.Mount(ctx, dir, core, o)
}

// helper is this test binary as the helper of package herald.
func helper() *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{heraldEnv + "=1"}
	cmd.Stderr = os.Stderr
	return cmd
}

type unmounter interface {
	Unmount(ctx context.Context, lazy bool) error
}

func TestMain(m *testing.M) {
	if os.Getenv(heraldEnv) != "" {
		if err := herald.Help(os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	if dir := os.Getenv(serveEnv); dir != "" {
		if p := os.Getenv(serveEnv + "_PROFILE"); p != "" {
			f, err := os.Create(p)
			if err == nil {
				err = pprof.StartCPUProfile(f)
			}
			if err != nil {
				panic(err)
			}
			defer pprof.StopCPUProfile()
		}
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, "serve:", err)
			pprof.StopCPUProfile()
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// server is the child.
type server struct {
	dir   string
	here  *device // the one that is mounted
	there *device // another one, which changes things
	mount unmounter
	along unmounter // of the other one, if it is mounted too
	stop  func()    // ends what keeps the other one up to date
}

// serve mounts the device in dir/state at dir/mnt, beside a second device.
func serve(dir string) error {
	s := &server{dir: dir}
	rules, err := alias.Parse(os.Getenv(rulesEnv), "")
	if err != nil {
		return err
	}
	var limits fs.Limits
	if os.Getenv(hastyEnv) != "" {
		limits = fs.Limits{Unsaved: 1 << 20, Plain: 1 << 20, Quiet: 4 * time.Millisecond}
	}
	here := setup{n: 1, rules: rules, limits: limits}
	if name := os.Getenv(fleetingEnv); name != "" {
		here.wrap = func(c *fs.Config) { c.Names = &fleeting{c.Names, name, s} }
	}
	if s.here, err = start(filepath.Join(dir, "state"), here); err != nil {
		return err
	}
	if s.there, err = start(filepath.Join(dir, "other"), setup{n: 2}); err != nil {
		return err
	}
	join(s.here, s.there)
	ctx := context.Background()
	mnt, err := mounthelper.Prepare(ctx, filepath.Join(dir, "mnt"))
	if err != nil {
		return err
	}
	if s.mount, err = mount(ctx, mnt, s.here.fs); err != nil {
		return err
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var args []string
		if err := json.Unmarshal(in.Bytes(), &args); err != nil {
			return err
		}
		out, err := s.do(args)
		if err != nil {
			out = "error: " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(out)
		if args[0] == "quit" {
			return nil
		}
	}
	return nil
}

// do obeys one command.
func (s *server) do(args []string) (string, error) {
	other := Core(s.there.fs, self(), "")
	switch args[0] {
	case "quit":
		if s.along != nil {
			s.stop()
			if err := s.along.Unmount(context.Background(), false); err != nil {
				return "", err
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.mount.Unmount(ctx, false); err != nil {
			if err := s.mount.Unmount(ctx, true); err != nil {
				return "", err
			}
		}
		if err := s.here.stop(); err != nil {
			return "", err
		}
		return "ok", s.there.stop()
	case "unmount":
		return "ok", s.mount.Unmount(context.Background(), false)
	case "along": // the other device is mounted too, and follows what is done here
		mnt, err := mounthelper.Prepare(context.Background(), filepath.Join(s.dir, "along"))
		if err != nil {
			return "", err
		}
		if s.along, err = mount(context.Background(), mnt, s.there.fs); err != nil {
			return "", err
		}
		s.stop = s.there.follow(s.here)
		return mnt, nil
	case "fetch": // the other device learns what was done here
		if err := s.here.fs.Sync(context.Background()); err != nil {
			return "", err
		}
		return "ok", s.there.pull(s.here)
	case "peek": // … what of it is saved
		return "ok", s.there.pull(s.here)
	case "push": // … and the other way round
		if err := s.there.fs.Sync(context.Background()); err != nil {
			return "", err
		}
		return "ok", s.here.pull(s.there)
	case "write":
		f, err := other.Open(args[1], os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return "", err
		}
		_, err = f.Pwrite([]byte(args[2]), 0)
		f.Close()
		return "ok", err
	case "mkdir":
		return "ok", other.Mkdir(args[1], 0o755)
	case "unlink":
		return "ok", other.Unlink(args[1])
	case "rmdir":
		return "ok", other.Rmdir(args[1])
	case "rename":
		return "ok", other.Rename(args[1], args[2], Replace)
	case "chmod":
		return "ok", other.Chmod(args[1], 0o600)
	case "ls":
		ns, err := other.ReadDir(args[1])
		slices.Sort(ns)
		return fmt.Sprint(ns), err
	case "read":
		f, err := other.Open(args[1], os.O_RDONLY, 0)
		if err != nil {
			return "", err
		}
		defer f.Close()
		buf := make([]byte, 1000)
		n, err := f.Pread(buf, 0)
		return string(buf[:n]), err
	case "cut": // blocks of the other device can no longer be had
		gate := make(chan struct{})
		if len(args) > 1 && args[1] == "off" {
			gate = nil
		}
		s.here.blocks.mu.Lock()
		s.here.blocks.gate = gate
		s.here.blocks.mu.Unlock()
		return "ok", nil
	case "inodes":
		return fmt.Sprint(s.here.fs.Stats().Inodes), nil
	case "foreign":
		return fmt.Sprint(s.here.fs.Stats().Foreign), nil
	case "pass": // time
		by, err := time.ParseDuration(args[1])
		if err == nil {
			err = s.here.fs.Sync(context.Background())
		}
		return s.here.pass(by).Format(time.RFC3339Nano), err
	case "kill": // an entry here, by a command and not through the mount
		e, err := s.here.names.Resolve(args[1])
		if err == nil {
			_, err = s.here.names.Remove(e.Parent, e.Name, e.Kind == namespace.Dir)
		}
		return "ok", err
	}
	return "", fmt.Errorf("unknown command %q", args[0])
}

// child is the server as the tests see it.
type child struct {
	t    testing.TB
	dir  string
	mnt  string
	cmd  *exec.Cmd
	in   *json.Encoder
	out  *bufio.Reader
	done bool
}

// mounted starts a child with an empty tree.
func mounted(t testing.TB) *child {
	t.Helper()
	return mountedAt(t, t.TempDir())
}

// mountedAt starts a child over what is in dir.
func mountedAt(t testing.TB, dir string) *child {
	t.Helper()
	return mountedWith(t, dir, alias.Exact)
}

// mountedWith is mountedAt with rules for names, and more variables of the environment.
func mountedWith(t testing.TB, dir string, rules alias.Rules, more ...string) *child {
	t.Helper()
	return serving(t, dir, nil, append(more, rulesEnv+"="+rules.String()))
}

// mountedAs is mountedAt by another user, if who is not nil: nobody else can enter.
func mountedAs(t testing.TB, dir string, who *syscall.Credential) *child {
	t.Helper()
	return serving(t, dir, who, nil)
}

// cannot skips the test; in CI it fails.
func cannot(t testing.TB, why any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func serving(t testing.TB, dir string, who *syscall.Credential, env []string) *child {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		cannot(t, "no /dev/fuse")
	}
	// Not by the name of this program: another user may not reach its folder.
	c := &child{t: t, dir: dir, mnt: filepath.Join(dir, "mnt"), cmd: exec.Command("/proc/self/exe")}
	c.cmd.Env = append(append(os.Environ(), serveEnv+"="+dir), env...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	c.cmd.Stderr = os.Stderr
	w, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.out = json.NewEncoder(w), bufio.NewReader(r)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.quit)
	if line, err := c.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	return c
}

// ask sends a command and returns the answer.
func (c *child) ask(args ...string) string {
	c.t.Helper()
	if err := c.in.Encode(args); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.out.ReadString('\n')
	if line = strings.TrimSuffix(line, "\n"); err != nil || strings.HasPrefix(line, "error:") {
		c.t.Fatalf("%q: %s %v", args, line, err)
	}
	return line
}

// quit ends the child; it must have unmounted.
func (c *child) quit() {
	if c.done {
		return
	}
	c.done = true
	c.ask("quit")
	if err := c.cmd.Wait(); err != nil {
		c.t.Error(err)
	}
}

// kill ends the child as a crash does.
func (c *child) kill() {
	c.done = true
	c.cmd.Process.Kill()
	c.cmd.Wait()
}
