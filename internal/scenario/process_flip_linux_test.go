package scenario

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// farName is the other way between the ends of a cable, over addresses that belong to no local network.
const farName = "shelf1"

func (c *cable) far() error {
	pid := func(end int) string { return strings.Split(c.ends[end], "/")[2] }
	words := []string{"link", "add", farName, "netns", pid(0), "type", "veth", "peer", "name", farName, "netns", pid(1)}
	if err := said(c.at(0, append([]string{"ip"}, words...)...)); err != nil {
		return err
	}
	for i := range c.ends {
		for _, words := range []string{
			fmt.Sprintf("ip addr add 198.18.7.%d/24 dev %s", i+1, farName), "ip link set " + farName + " up",
			"tc qdisc add dev " + farName + " root tbf rate 200mbit burst 256k latency 50ms", // so that the near way is the better one
		} {
			if err := said(c.at(i, strings.Fields(words)...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Two devices on one network, and over another way too; the network goes amid a read. The reader gets what was
// written, after a pause, over the other way.
func TestTheWayChangesAmidARead(t *testing.T) {
	t.Parallel()
	c, err := newCable(t)
	if err == nil {
		err = c.far()
	}
	if err != nil {
		cannot(t, "no two ways can be made here", err)
	}
	data := random(6, 96<<20)
	a, b := newDevice(t, "a"), newDevice(t, "b")
	for i, d := range []*device{a, b} {
		d.prefix = append([]string{"nsenter"}, c.enter(i)...)
		if err := said(c.at(i, "tc", "qdisc", "add", "dev", cableName, "root", "tbf", "rate", "400mbit", "burst", "256k", "latency", "50ms")); err != nil {
			t.Fatal(err)
		}
	}
	a.up().write("file", data)
	a.admit(b)
	b.up()
	b.hasSize("file", int64(len(data)))
	b.sees(a)
	eventually(t, 20*time.Second, "they meet on the local network", func() bool { return b.way(a) == "lan" })
	var cut time.Time
	got := b.readThrough("file", func() {
		if err := c.set("down"); err != nil {
			t.Fatal(err)
		}
		cut = time.Now()
	}, func() { t.Logf("a third of the file after the cut came within %v", time.Since(cut)) })
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes read, others than were written", len(got))
	}
	if way := b.way(a); way != "direct" {
		t.Errorf("the way is %q now", way)
	}
}

// way is how d reaches another device.
func (d *device) way(other *device) string {
	d.t.Helper()
	for _, p := range d.status().Peers {
		if p.Name == other.name && p.Connected {
			return p.Path
		}
	}
	return ""
}
