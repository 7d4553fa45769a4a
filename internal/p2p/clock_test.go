package p2p_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/internal/ident"
)

// yearEnv says, to the other end of TestClocksApart, where it listens and, after a blank, whom it dials.
const yearEnv = "SHELF_P2P_TEST_YEAR"

// otherEnd is that of TestClocksApart, in a process of its own: in a bubble of synctest it is the year 2000,
// and as sockets are in use, that stands still. It ends with its standard input.
func otherEnd(t *testing.T, args string) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, 1, nil)
		n.key = keyOf("child")
		n.dir.add(peerOf(2, "parent"))
		where, whom, _ := strings.Cut(args, " ")
		n.listen = []string{where}
		n.start()
		if whom != "" {
			n.AddAddrs(ident.DeviceID{2}, []string{whom}, false)
		}
		_, _ = os.Stdout.WriteString(time.Now().Format("2006") + " " + n.Addrs()[0] + "\n")
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0) // nothing in the bubble could wait for the end: its time stands still
	})
}

// Devices whose clocks differ by decades connect, whichever of the two dials, over TCP and over QUIC.
func TestClocksApart(t *testing.T) {
	if args, ok := os.LookupEnv(yearEnv); ok {
		otherEnd(t, args)
		return
	}
	if year := time.Now().Year(); year < 2002 {
		t.Fatalf("it is %d by this computer's clock, which nothing would be far from: set it", year)
	}
	for name, where := range map[string]string{"tcp": tcpOnly[0], "quic": "/ip4/127.0.0.1/udp/0/quic-v1"} {
		for _, behind := range []bool{true, false} {
			who := " ahead dials"
			if behind {
				who = " behind dials"
			}
			t.Run(name+who, func(t *testing.T) {
				n := newNode(t, 2, []string{where})
				n.key = keyOf("parent")
				n.dir.add(peerOf(1, "child"))
				n.start()
				args := where
				if behind {
					args += " " + n.Addrs()[0]
				}
				year, addr := inTheYear2000(t, args)
				if year != "2000" {
					t.Fatal("it is", year, "there, too")
				}
				if !behind {
					n.AddAddrs(ident.DeviceID{1}, []string{addr}, false)
				}
				child := &node{me: peerOf(1, "child")}
				n.await(child, true, 5*time.Second)
				if err := n.echo(child); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func inTheYear2000(t *testing.T, args string) (year, addr string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestClocksApart$")
	cmd.Env = append(os.Environ(), yearEnv+"="+args)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait(); cancel() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	year, addr, _ = strings.Cut(strings.TrimSpace(line), " ")
	return year, addr
}
