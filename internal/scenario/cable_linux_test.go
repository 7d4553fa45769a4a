package scenario

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// cable is a network that two devices have for themselves, and that can be cut while both run on:
// each has a network namespace, and in each lies one end of a pair. Nothing is left of it when this
// process ends, however it does. It wants root.
type cable struct{ ends [2]string }

const cableName = "shelf0"

func newCable(t testing.TB) (*cable, error) {
	c := &cable{}
	var pids []string
	for i := range c.ends {
		holder := exec.Command("sleep", "infinity")
		holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if err := holder.Start(); err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
		pids = append(pids, fmt.Sprint(holder.Process.Pid))
		c.ends[i] = "/proc/" + pids[i] + "/ns/net"
	}
	if err := said(exec.Command("ip", "link", "add", cableName, "netns", pids[0], "type", "veth", "peer", "name", cableName, "netns", pids[1])); err != nil {
		return nil, err
	}
	for i := range c.ends {
		for _, words := range []string{"link set lo up", fmt.Sprintf("addr add 10.9.0.%d/24 dev %s", i+1, cableName), "link set " + cableName + " up"} {
			if err := said(c.at(i, append([]string{"ip"}, strings.Fields(words)...)...)); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// at is a command that runs at one end.
func (c *cable) at(end int, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append(c.enter(end), args...)...)
}

// enter is what nsenter wants to know. It takes no other namespace along: mounts are those of all.
func (c *cable) enter(end int) []string { return []string{"--net=" + c.ends[end], "--"} }

func (c *cable) set(state string) error { return said(c.at(0, "ip", "link", "set", cableName, state)) }

// said runs a command; the error is what it said.
func said(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", cmd.Args, err, out)
	}
	return nil
}
