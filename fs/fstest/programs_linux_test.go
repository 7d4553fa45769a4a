package fstest

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var programsFull = flag.Bool("programs.full", false, "TestPrograms in full: large, with programs/full; make programs installs what it needs")

// TestPrograms runs each script of programs/ on a mount and on the local filesystem: both succeed, and
// what they print is the same. How long they took is told, and never judged.
func TestPrograms(t *testing.T) {
	scripts, err := filepath.Glob("programs/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	if *programsFull {
		more, err := filepath.Glob("programs/full/*.sh")
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, more...)
	}
	src, shared := source(t), t.TempDir()
	module, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if *programsFull {
		grow(t, src)
	}
	var table []figure
	for _, path := range scripts {
		if path == programsLib {
			continue
		}
		p := readProgram(t, path)
		t.Run(p.name, func(t *testing.T) {
			needs(t, p.needs...)
			p.env = []string{"SRC=" + src, "SHARED=" + shared, "MODULE=" + module}
			there := p.run(t, false)
			here := p.run(t, true)
			if a, b := there.outcome, here.outcome; a != b {
				t.Errorf("only on the local filesystem:\n%s\nonly on the mount:\n%s", missing(b, a), missing(a, b))
			}
			figures := compare(p.name, there, here)
			t.Log("\n" + render(figures))
			table = append(table, figures...)
		})
	}
	t.Log("\n" + render(table))
}

// figure is a line of the table: seconds, or what its name says.
type figure struct {
	name         string
	local, mount float64
}

func compare(name string, local, mount ran) []figure {
	fs := []figure{{name, local.seconds, mount.seconds}}
	for i, r := range local.reports {
		if i < len(mount.reports) {
			fs = append(fs, figure{name + ": " + r.name, r.value, mount.reports[i].value})
		}
	}
	return fs
}

func render(table []figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %-34s | %9s | %9s | %6s |\n|---|---:|---:|---:|\n", "program", "local, s", "mount, s", "ratio")
	for _, f := range table {
		fmt.Fprintf(&b, "| %-34s | %9.3g | %9.3g | %6.2g |\n", f.name, f.local, f.mount, f.mount/f.local)
	}
	return b.String()
}

// missing are the first lines of b that a has not.
func missing(a, b string) string {
	const most = 20
	have := map[string]bool{}
	for line := range strings.Lines(a) {
		have[line] = true
	}
	lines := slices.DeleteFunc(strings.SplitAfter(b, "\n"), func(l string) bool { return have[l] })
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("… and %d more\n", len(lines)-most))
	}
	return strings.Join(lines, "")
}

// needs fails the test without the programs, each given with its Debian package. Whoever has not
// asked for all tests is spared.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		name, pkg, _ := strings.Cut(p, "=")
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI") != "" || *programsFull {
			t.Fatalf("%s is not installed; Debian's package is %s", name, pkg)
		}
		t.Skipf("%s is not installed; Debian's package is %s", name, pkg)
	}
}
