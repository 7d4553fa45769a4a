package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// street is a third namespace, with a cable to each device, that passes nothing on between them: what two
// routers that let nobody in leave of the internet. In it serves a relay.
type street struct {
	t    *testing.T
	net  string
	dir  string // of the relay
	addr string
	kill func()
}

const streetName = "shelf2"

func newStreet(t *testing.T, c *cable) (*street, error) {
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	pid := fmt.Sprint(holder.Process.Pid)
	s := &street{t: t, net: "/proc/" + pid + "/ns/net", dir: t.TempDir(), kill: func() {}}
	t.Cleanup(func() { s.kill() })
	for i, end := range c.ends {
		mine, theirs := fmt.Sprint("home", i), strings.Split(end, "/")[2]
		for _, words := range []string{
			"ip link add " + mine + " netns " + pid + " type veth peer name " + streetName + " netns " + theirs,
			fmt.Sprintf("nsenter --net=%s -- ip addr add 198.18.%d.1/24 dev %s", s.net, i+1, mine),
			"nsenter --net=" + s.net + " -- ip link set " + mine + " up",
			fmt.Sprintf("nsenter --net=%s -- ip addr add 198.18.%d.2/24 dev %s", end, i+1, streetName),
			"nsenter --net=" + end + " -- ip link set " + streetName + " up",
			fmt.Sprintf("nsenter --net=%s -- ip route add default via 198.18.%d.1", end, i+1),
		} {
			if err := said(exec.Command("sh", "-c", words)); err != nil {
				return nil, err
			}
		}
	}
	return s, said(exec.Command("nsenter", "--net="+s.net, "--", "ip", "link", "set", "lo", "up"))
}

// serve starts the relay.
func (s *street) serve() {
	s.t.Helper()
	cmd := exec.Command("nsenter", "--net="+s.net, "--", shelfBin, "relay", "serve", "--json", "--host", "198.18.1.1", "--dir", s.dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // it has become the relay
	var says struct{ Addresses []string }
	if err := json.NewDecoder(out).Decode(&says); err != nil || len(says.Addresses) != 1 {
		s.t.Fatal(says, err)
	}
	s.addr = says.Addresses[0]
}

// passed is how many bytes have come out of the street into a device's home.
func (s *street) passed(c *cable, end int) (n int64) {
	s.t.Helper()
	out, err := c.at(end, "ip", "-j", "-s", "link", "show", streetName).Output()
	var links []struct {
		Stats64 struct {
			RX struct{ Bytes int64 }
		}
	}
	if err == nil {
		err = json.Unmarshal(out, &links)
	}
	if err != nil || len(links) != 1 {
		s.t.Fatal(string(out), err)
	}
	return links[0].Stats64.RX.Bytes
}

// town is a street between two homes, which also have a cable of their own.
func town(t *testing.T) (*cable, *street) {
	t.Helper()
	c, err := newCable(t)
	var s *street
	if err == nil {
		s, err = newStreet(t, c)
	}
	if err != nil {
		cannot(t, "no street can be made here", err)
	}
	return c, s
}

func homes(t *testing.T, c *cable) (a, b *device) {
	a, b = newDevice(t, "a"), newDevice(t, "b")
	for i, d := range []*device{a, b} {
		d.prefix = append([]string{"nsenter"}, c.enter(i)...)
	}
	return a, b
}

// Two devices that cannot reach one another and have never met: one joins the other through a relay, and reads, while
// the relay is killed and comes back.
func TestTheyMeetThroughARelay(t *testing.T) {
	t.Parallel()
	c, s := town(t)
	if err := c.set("down"); err != nil {
		t.Fatal(err)
	}
	s.serve()
	a, b := homes(t, c)
	data := random(8, 48<<20)
	a.up().write("file", data)
	a.must("relay", "use", s.addr)
	a.admit(b)
	b.up()
	b.hasSize("file", int64(len(data)))
	got := b.readThrough("file", func() {
		was := s.addr
		s.kill()
		if s.serve(); s.addr != was {
			t.Errorf("the relay came back at %s and was at %s", s.addr, was)
		}
	})
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes read, others than were written", len(got))
	}
	if ab, ba := a.way(b), b.way(a); ab != "relay" || ba != "relay" {
		t.Errorf("the ways are %q and %q", ab, ba)
	}
	for _, d := range []*device{b, a} { // they know where to find each other
		d.must("down")
		d.up()
		b.sees(a)
	}
	place := a.relays()[0].Place
	a.must("relay", "leave", place)
	if n := len(a.relays()); n != 0 {
		t.Errorf("%d relays are left", n)
	}
	eventually(t, 20*time.Second, "both are alone", func() bool { return a.way(b) == "" && b.way(a) == "" })
}

func (d *device) relays() []controlapi.Relay {
	d.t.Helper()
	var says struct{ Relays []controlapi.Relay }
	if err := json.Unmarshal([]byte(d.must("relay", "--json")), &says); err != nil {
		d.t.Fatal(err)
	}
	return says.Relays
}

// Two devices on one network, which goes amid a read and comes back: the bytes come through the relay meanwhile,
// and only then.
func TestTheWayChangesToARelayAndBack(t *testing.T) {
	t.Parallel()
	c, s := town(t)
	s.serve()
	a, b := homes(t, c)
	for i := range c.ends { // so that the read is not over before the cut
		if err := said(c.at(i, "tc", "qdisc", "add", "dev", cableName, "root", "tbf", "rate", "400mbit", "burst", "256k", "latency", "50ms")); err != nil {
			t.Fatal(err)
		}
	}
	const size = 64 << 20
	first, second := random(9, size), random(10, size/4)
	a.up().write("first", first)
	a.write("second", second)
	a.admit(b)
	b.up()
	b.hasSize("first", size)
	a.must("relay", "use", s.addr)
	b.must("relay", "use", s.addr)
	eventually(t, 20*time.Second, "they meet on the local network", func() bool { return b.way(a) == "lan" })

	var cut time.Time
	got := b.readThrough("first", func() {
		if n := s.passed(c, 1); n > size/16 {
			t.Errorf("%d bytes came through the relay while there was a network", n)
		}
		if err := c.set("down"); err != nil {
			t.Fatal(err)
		}
		cut = time.Now()
	}, func() { t.Logf("a third of the file after the cut came within %v", time.Since(cut)) })
	if !bytes.Equal(got, first) {
		t.Errorf("%d bytes read, others than were written", len(got))
	}
	if way := b.way(a); way != "relay" {
		t.Errorf("the way is %q now", way)
	}
	if err := c.set("up"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 90*time.Second, "they are on the local network again", func() bool { return b.way(a) == "lan" && a.way(b) == "lan" })
	before := s.passed(c, 1)
	if got := b.read("second"); !bytes.Equal(got, second) {
		t.Errorf("%d bytes read, others than were written", len(got))
	}
	if n := s.passed(c, 1) - before; n > int64(len(second))/16 {
		t.Errorf("%d bytes came through the relay while there was a network", n)
	}
}
