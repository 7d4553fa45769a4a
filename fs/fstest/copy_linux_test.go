package fstest

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A container that was started while the mount was there has a copy of it, and uses it. Unmounting does not
// wait for its end, and what it wrote is saved.
func TestUnmountWithACopyElsewhere(t *testing.T) {
	c := mounted(t)
	args := []string{"-m"}
	if os.Geteuid() != 0 {
		args = []string{"-rm"}
	}
	const use = `cd "$1" && printf kept > file && exec 3< file && echo ready && read end; printf late 2>/dev/null > other || echo over`
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // with it the copy ends, and a wait for that
	defer cancel()
	other := exec.CommandContext(ctx, "unshare", append(args, "sh", "-c", use, "sh", c.mnt)...)
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	other.Stderr = os.Stderr
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(r)
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("this user may not make a mount namespace: %q, %v", line, err)
	}
	began := time.Now()
	c.ask("unmount")
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("unmounting took %v", took)
	}
	c.ask("fetch")
	if got := c.ask("read", "/file"); got != "kept" {
		t.Errorf("the other device shows %q", got)
	}
	c.quit()
	in.Close()
	if line, err := out.ReadString('\n'); line != "over\n" {
		t.Errorf("the copy goes on after its server has ended: %q, %v", line, err)
	}
	if err := other.Wait(); err != nil {
		t.Error(err)
	}
}
