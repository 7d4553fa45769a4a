//go:build unix

package p2p_test

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/wire"
)

// A host that wakes finds out who is no longer there, though nobody asks.
func TestAwake(t *testing.T) {
	n, child, stop := withChild(t)
	stop()
	n.Awake()
	t.Logf("not connected after %v", n.await(child, false, 10*time.Second))
}

// A device that stopped without closing anything is not connected any more once somebody looked.
func TestCheckNoticesAStoppedDevice(t *testing.T) {
	n, child, stop := withChild(t)
	n.Check(child.me.Device)
	time.Sleep(rand.N(4 * time.Millisecond)) // at whatever moment: the check under way may have its answer already
	if !n.state(child).Connected {
		t.Fatal("a device that answers was hung up on")
	}
	stop()
	for range 3 {
		n.Check(child.me.Device)
	}
	defer func() { // while it is dialled, which takes its time: the system accepts for a stopped process
		began := time.Now()
		if _, err := n.Open(wire.WithoutDial(t.Context()), child.me.Device, echoProtocol); !errs.Is(err, errs.Offline) || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	}()
	t.Logf("not connected after %v", n.await(child, false, 15*time.Second))
}

// withChild is a host and another one that it is connected to, in a process that can be stopped.
func withChild(t *testing.T) (n, child *node, stop func()) {
	t.Helper()
	cmd, listening := spawn(t, tcpOnly[0])
	n = newNode(t, 1, tcpOnly)
	n.key, n.me = keyOf("parent"), peerOf(1, "parent")
	n.dir.add(peerOf(2, "child"))
	n.start()
	child = &node{me: peerOf(2, "child")}
	n.AddAddrs(child.me.Device, strings.Split(listening, " "), false)
	n.await(child, true, 5*time.Second)
	return n, child, func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		var status syscall.WaitStatus // a signal takes its time
		if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
			t.Fatalf("the other device did not stop: %v, %v", status, err)
		}
	}
}
