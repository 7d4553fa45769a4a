package fstest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const programsLib = "programs/lib.sh" // says what a script can rely on

// program is a script of programs/. Comments at its head tell what it needs, and as which user it
// runs when root runs the tests.
type program struct {
	name   string
	script string
	needs  []string // program=package
	user   string
	env    []string
}

func readProgram(t *testing.T, path string) *program {
	t.Helper()
	lib, err := os.ReadFile(programsLib)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(strings.TrimPrefix(path, "programs/"), ".sh")
	p := &program{name: name, script: string(lib) + string(text)}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "# needs: "); ok {
			p.needs = strings.Fields(v)
		}
		if v, ok := strings.CutPrefix(line, "# user: "); ok {
			p.user = strings.TrimSpace(v)
		}
	}
	return p
}

// ran is what a run came to.
type ran struct {
	outcome string
	seconds float64
	reports []report
}

type report struct {
	name  string
	value float64
}

// run runs the program in a folder of a new mount, or of the local filesystem.
func (p *program) run(t *testing.T, onMount bool) ran {
	t.Helper()
	who := p.credential(t)
	home := folder(t, who)
	dir := filepath.Join(home, "local")
	var served *child
	if onMount {
		served = mountedAs(t, home, who)
		dir = served.mnt
	}
	full := ""
	if *programsFull {
		full = "1"
	}
	tmp, reports := filepath.Join(home, "tmp"), filepath.Join(home, "reports")
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", `mkdir -p "$TMPDIR" "$DIR/work"; export DIR=$DIR/work; cd "$DIR"`+"\n"+p.script)
	cmd.Env = append(environ(), p.env...)
	cmd.Env = append(cmd.Env, "DIR="+dir, "TMPDIR="+tmp, "REPORT="+reports, "FULL="+full)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setpgid: true}
	if who != nil {
		cmd.Env = append(cmd.Env, "HOME="+home)
	}
	cmd.Dir = home
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	asks, answers := pipes(t, cmd)
	go func() {
		defer answers.Close()
		for in := bufio.NewScanner(asks); in.Scan(); fmt.Fprintln(answers) {
			if served == nil {
				continue
			}
			if in.Text() == "crash" {
				served.kill()
			} else {
				served.quit()
			}
			served = mountedAs(t, home, who)
		}
	}()
	begun := time.Now()
	err := cmd.Run()
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it may have left running
	}
	if err != nil {
		where := "on the local filesystem"
		if onMount {
			where = "on the mount"
		}
		t.Fatalf("%s: %v\n%s\n%s", where, err, tail(out.Bytes()), tail(log.Bytes()))
	}
	r := ran{outcome: out.String(), seconds: time.Since(begun).Seconds(), reports: readReports(t, reports)}
	if served != nil {
		served.quit()
	}
	return r
}

// pipes give a command the descriptors 3, to ask the test for something, and 4, for its answers.
func pipes(t *testing.T, cmd *exec.Cmd) (asks, answers *os.File) {
	t.Helper()
	asks, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{w, r}
	t.Cleanup(func() {
		for _, f := range []io.Closer{asks, w, r, answers} {
			f.Close()
		}
	})
	return asks, answers
}

func readReports(t *testing.T, path string) (rs []report) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "\t")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, report{name, v})
	}
	return rs
}

// credential is nil for a program that runs as whoever runs the tests.
func (p *program) credential(t *testing.T) *syscall.Credential {
	t.Helper()
	if p.user == "" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(p.user)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// folder is a temporary one that the user can reach, which a folder of testing's is not.
func folder(t *testing.T, who *syscall.Credential) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "shelf-programs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func tail(b []byte) []byte {
	const most = 3000
	return b[max(0, len(b)-most):]
}
