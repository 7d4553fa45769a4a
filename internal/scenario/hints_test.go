package scenario

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/ident"
)

// id is a device's identity.
func (d *memoryDevice) id() ident.DeviceID {
	d.t.Helper()
	s, err := d.dev.Status(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	id, err := ident.ParseDeviceID(s.Device.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	return id
}

// connected reports whether another device can be asked.
func (d *memoryDevice) connected(other ident.DeviceID) bool {
	peers, err := d.dev.RankedPeers(d.t.Context())
	return err == nil && slices.ContainsFunc(peers, func(p controlapi.RankedPeer) bool { return p.ID == other.String() && p.Connected })
}

// heardOf reports whether d has heard that another device keeps all of some files whole. While the other is away, it can
// only tell what it heard.
func (d *memoryDevice) heardOf(other ident.DeviceID, names []string) bool {
	d.m.net.Down(other)
	defer d.m.net.Up(other)
	for _, name := range names {
		st, err := d.dev.PathStatus(d.t.Context(), name)
		if err != nil || !slices.ContainsFunc(st.Copies, func(c controlapi.Copy) bool { return c.Device == other.String() && c.Complete }) {
			return false
		}
	}
	return true
}

// Of many devices, a reader asks only the one that said to keep the files: for large ones, for small ones and for
// those that are read ahead because somebody goes through a folder.
func TestReadersAskKeepers(t *testing.T) {
	m := newMemory()
	a := newMemoryDevice(t, m, "a")
	a.create()
	var others []*memoryDevice
	for i := range 6 {
		d := newMemoryDevice(t, m, fmt.Sprint("d", i))
		a.admit(d)
		others = append(others, d)
	}
	reader, writer := others[5], others[2]
	if err := writer.sys().Mkdir("/small", 0o755); err != nil {
		t.Fatal(err)
	}
	data := map[string]string{}
	for i := range 40 {
		data[fmt.Sprintf("/small/%02d", i)] = string(random(uint64(i), 2000))
	}
	data["/large"] = string(random(100, 3<<20))
	for name := range data {
		put(t, writer, name, data[name])
	}
	names := slices.Sorted(maps.Keys(data)) // the large one first
	rid, wid := reader.id(), writer.id()
	eventually(t, 20*time.Second, "the reader knows who keeps them", func() bool {
		time.Sleep(50 * time.Millisecond)
		return reader.heardOf(wid, names)
	})
	eventually(t, 20*time.Second, "they are connected", func() bool { return reader.connected(wid) })
	vain := func() int {
		return m.asked.count(askedGet, func(from, to ident.DeviceID) bool { return from == rid && to != wid })
	}
	for _, name := range names {
		if got, err := get(reader, name); err != nil || got != data[name] {
			t.Fatalf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if asked := m.asked.count(askedGet, func(from, to ident.DeviceID) bool { return from == rid && to == wid }); asked < 40 {
		t.Errorf("only %d questions were counted", asked)
	}
	if n := vain(); n > 0 {
		t.Errorf("%d questions to devices that have nothing", n)
	}
}

// The first look into a large file that is nowhere near is one question: the list of its blocks comes with the
// block that is looked at.
func TestFirstReadIsOneQuestion(t *testing.T) {
	m := newMemory()
	a, b := newMemoryDevice(t, m, "a"), newMemoryDevice(t, m, "b")
	a.create()
	a.admit(b)
	data := random(1, 16<<20)
	put(t, a, "/film", string(data))
	eventually(t, 20*time.Second, "b knows the file", func() bool {
		st, err := b.sys().Lstat("/film")
		return err == nil && st.Size == int64(len(data))
	})
	bid := b.id()
	asked := func(kind byte) int {
		return m.asked.count(kind, func(from, _ ident.DeviceID) bool { return from == bid })
	}
	f, err := b.sys().Open("/film", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, 4096)
	if _, err := f.Pread(got, 9<<20); err != nil || !bytes.Equal(got, data[9<<20:9<<20+4096]) {
		t.Fatal("wrong bytes", err)
	}
	if walks, gets := asked(askedWalk), asked(askedGet); walks != 1 || gets != 0 {
		t.Errorf("%d questions for a manifest, %d for blocks", walks, gets)
	}
}
