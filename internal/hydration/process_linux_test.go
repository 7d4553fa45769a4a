package hydration

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	rest := " S 41 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2 3"
	for _, name := range []string{"cat", "a b", "x) (y", ")", ""} {
		p, threads, ok := parseStat("42 (" + name + ")" + rest)
		if want := (Process{PID: 42, Start: 987654, Name: name, Parent: 41}); !ok || p != want || threads != 1 {
			t.Errorf("%q: %+v %d %v", name, p, threads, ok)
		}
	}
	for _, bad := range []string{"", "42", "42 (cat", "42 )cat(" + rest, "x (cat)" + rest, "42 (cat) S 41"} {
		if p, _, ok := parseStat(bad); ok {
			t.Errorf("%q: %+v", bad, p)
		}
	}
}

// The kernel names a reader by its thread.
func TestLookFindsTheProcessOfAThread(t *testing.T) {
	type seen struct {
		p  Process
		ok bool
	}
	look := func(found chan<- seen) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p, ok := System().Look(uint32(unix.Gettid()))
		found <- seen{p, ok && unix.Gettid() != os.Getpid()}
	}
	runtime.LockOSThread() // the other one has another thread
	defer runtime.UnlockOSThread()
	found := make(chan seen, 2)
	go look(found)
	s := <-found
	if !s.ok { // that was the first one
		look(found)
		s = <-found
	}
	p, ok := s.p, s.ok
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if !ok || p.PID != uint32(os.Getpid()) || p.Parent != uint32(os.Getppid()) || p.Exe != filepath.Base(self) || p.Start == 0 {
		t.Errorf("%+v %v", p, ok)
	}
}

func TestLookAtAScript(t *testing.T) {
	script := filepath.Join(t.TempDir(), "updatedb")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho\nread x\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(script, "-r", "a b")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it is not what it is called before it runs
		t.Error(err)
	}
	pid := uint32(cmd.Process.Pid)
	p, ok := System().Look(pid)
	args := System().Args(pid)
	_ = in.Close()
	_ = cmd.Wait()
	if !ok || p.Name != "updatedb" || p.shown() != "updatedb" {
		t.Errorf("%+v %v", p, ok)
	}
	if !slices.Contains(args, "-r") || !slices.Contains(args, "a b") {
		t.Errorf("%q", args)
	}
	if _, ok := System().Look(pid); ok {
		t.Error("it has ended")
	}
}
