package fstest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// sh runs a script in dir; failure fails the test.
func sh(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// environ is what scripts run with: independent of the user's settings, and of the time where git asks for it.
func environ() []string {
	return append(os.Environ(), "LC_ALL=C", "TZ=UTC", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "GIT_AUTHOR_DATE=1100000000 +0000", "GIT_COMMITTER_DATE=1100000000 +0000")
}

// source makes a tree of files, links, times and modes outside the mount.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(os.MkdirAll(dir+"/a/b/c", 0o755))
	ok(os.Mkdir(dir+"/d", 0o755))
	for i := range 120 {
		ok(os.WriteFile(fmt.Sprintf("%s/a/b/f%d", dir, i), random(int64(i), i*37), 0o644))
	}
	ok(os.WriteFile(dir+"/big", random(1, 3000000), 0o644))
	sh(t, dir, `
		ln a/b/f1 hard; ln -s a/b/f2 soft; ln -s nowhere dangling
		chmod 600 a/b/f3; chmod 755 a/b/f4; chmod 2755 d; chmod 4755 a/b/f5
		touch -d '2001-02-03 04:05:06.123456789' a/b/f6; touch -h -d '2002-03-04 05:06:07.5' soft
		: > empty; printf x > 'name with spaces'
		mkfifo pipe; touch -h -d '2004-01-01 01:01:01.25' pipe dangling big hard empty
		touch -d '2003-04-05 06:07:08.9' a/b/c a/b a d .`)
	return dir
}

// grow adds what makes it the size of a large project: the sources of Go, and 6,000 files of some KiB.
func grow(t *testing.T, dir string) {
	t.Helper()
	sh(t, dir, `cp -a "$(go env GOROOT)" go`)
	for i := range 6000 {
		sub := fmt.Sprintf("%s/more/%d/%d", dir, i%7, i%61)
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(fmt.Sprint(sub, "/", i), random(int64(i), i*i%30000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
