package cli

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// What the daemon is started with its timers have; what is started otherwise, before and after, has the usual.
func TestStartCalm(t *testing.T) {
	slack := func(start func(*exec.Cmd) error) string {
		var out bytes.Buffer
		cmd := exec.Command("cat", "/proc/self/timerslack_ns")
		cmd.Stdout = &out
		if err := start(cmd); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out.String())
	}
	before := slack((*exec.Cmd).Start)
	if calm := slack(startCalm); calm != fmt.Sprint(timerSlack.Nanoseconds()) {
		t.Errorf("the slack is %s ns", calm)
	}
	if after := slack((*exec.Cmd).Start); after != before {
		t.Errorf("the slack was %s ns, and is %s of what is started afterwards", before, after)
	}
}
