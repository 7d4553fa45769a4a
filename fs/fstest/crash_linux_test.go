package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What fsync promised is there after a crash, and the mount is mended.
func TestCrash(t *testing.T) {
	c := mounted(t)
	synced := random(1, 600<<10)
	f, err := os.Create(filepath.Join(c.mnt, "synced"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(synced); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(random(2, 20<<20)); err != nil { // partly sealed, never committed
		t.Fatal(err)
	}
	c.kill()
	if _, err := os.Stat(filepath.Join(c.mnt, "synced")); !errors.Is(err, syscall.ENOTCONN) && !errors.Is(err, syscall.ECONNABORTED) {
		t.Errorf("a dead mount says %v", err)
	}
	f.Close()
	again := mountedAt(t, c.dir)
	got, err := os.ReadFile(filepath.Join(again.mnt, "synced"))
	if err != nil || !bytes.Equal(got, synced) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

// Closed files are committed soon, in order, though nobody waits.
func TestCloseIsEnough(t *testing.T) {
	c := mounted(t)
	for i := range 50 {
		if err := os.WriteFile(filepath.Join(c.mnt, fmt.Sprint("f", i)), random(int64(i), 5000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(500 * time.Millisecond)
	c.kill()
	again := mountedAt(t, c.dir)
	for i := range 50 {
		got, err := os.ReadFile(filepath.Join(again.mnt, fmt.Sprint("f", i)))
		if err != nil || !bytes.Equal(got, random(int64(i), 5000)) {
			t.Fatalf("file %d: %d bytes, %v", i, len(got), err)
		}
	}
}

// A reader that waits for another device can be killed, and a signal ends its wait.
func TestWaitCanBeEnded(t *testing.T) {
	c := mounted(t)
	c.ask("write", "/far", strings.Repeat("far away ", 100))
	c.ask("cut")
	c.ask("push")
	p := filepath.Join(c.mnt, "far")
	soon(t, "900", func() string {
		fi, err := os.Stat(p)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(fi.Size())
	})
	cmd := exec.Command("cat", p)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	cmd.Process.Kill()
	cmd.Wait()
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("killed after %v", d)
	}
}

func TestBusyUnmountNamesTheProgram(t *testing.T) {
	c := mounted(t)
	cmd := exec.Command("sleep", "60")
	cmd.Dir = c.mnt
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if err := c.in.Encode([]string{"unmount"}); err != nil {
		t.Fatal(err)
	}
	line, err := c.out.ReadString('\n')
	if err != nil || !strings.Contains(line, "sleep") || !strings.Contains(line, fmt.Sprint(cmd.Process.Pid)) || !strings.Contains(line, "busy") {
		t.Errorf("%q %v", line, err)
	}
}

// Nothing is kept of files that the kernel has forgotten.
func TestForgetting(t *testing.T) {
	c := mounted(t)
	sh(t, c.mnt, "mkdir d; cd d; for i in $(seq 300); do : > f$i; done; ls -l > /dev/null")
	before := c.ask("inodes")
	if os.Geteuid() != 0 {
		cannot(t, "only root can make the kernel forget")
	}
	sh(t, "/", "sync; echo 3 > /proc/sys/vm/drop_caches")
	soon(t, "few", func() string {
		var n int
		fmt.Sscan(c.ask("inodes"), &n)
		if n < 20 {
			return "few"
		}
		return fmt.Sprint(n, " of ", before)
	})
	sh(t, c.mnt, "test $(ls d | wc -l) = 300")
}

// O_SYNC writes are durable when they return.
func TestSyncWrites(t *testing.T) {
	c := mounted(t)
	f, err := os.OpenFile(filepath.Join(c.mnt, "a"), os.O_CREATE|os.O_WRONLY|os.O_SYNC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("durable")); err != nil {
		t.Fatal(err)
	}
	c.kill()
	f.Close()
	again := mountedAt(t, c.dir)
	if got := cat(filepath.Join(again.mnt, "a"))(); got != "durable" {
		t.Errorf("%q", got)
	}
}
