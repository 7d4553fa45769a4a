//go:build linux

package scenario

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// workDir is the folder of this run: the program under test, built once by TestMain, and the sockets of
// homes whose own paths are too long for one.
var (
	workDir  string
	shelfBin string
)

const workDirs = "shelf-scenario-"

func TestMain(m *testing.M) {
	if os.Getenv(readerEnv) != "" {
		os.Exit(readAndHold(os.Args[1:]))
	}
	os.Exit(func() int {
		sweep()
		var err error
		if workDir, err = os.MkdirTemp("", workDirs); err != nil {
			panic(err)
		}
		defer os.RemoveAll(workDir)
		held, err := hold(workDir, os.O_CREATE)
		if err != nil {
			panic(err)
		}
		defer held.Close()
		shelfBin = filepath.Join(workDir, "shelf")
		build := exec.Command("go", "build", "-o", shelfBin, "github.com/shelffs/shelf/cmd/shelf")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
			return 1
		}
		_ = os.Setenv("SHELF_KEYRING", "off")
		_ = flag.Set("test.parallel", "4") // they wait for each other's devices more than they compute
		return m.Run()
	}())
}

// environment is that of every program of these tests: no keyring and no session of the user.
func environment() []string {
	return append(os.Environ(), "XDG_RUNTIME_DIR="+workDir)
}

// sweep removes the folders of runs that were killed, or ended by a test that took too long.
func sweep() {
	old, _ := filepath.Glob(filepath.Join(os.TempDir(), workDirs+"*"))
	for _, dir := range old {
		if f, err := hold(dir, 0); err == nil {
			_ = os.RemoveAll(dir)
			_ = f.Close()
		}
	}
}

// hold locks the folder of a run for as long as this process lives.
func hold(dir string, flag int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
