//go:build linux

package scenario

import (
	"bytes"
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/keystore"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/p2p"
	"github.com/shelffs/shelf/internal/replicate"
	"github.com/shelffs/shelf/internal/share"
)

// misspeller is a program with a bug: it writes the name "wrong" as one that no program accepts.
type misspeller struct{ *seal.Sealer }

func (m misspeller) SealRecord(header, payload []byte) []byte {
	return m.Sealer.SealRecord(header, bytes.Replace(payload, []byte("wrong"), []byte("wr/ng"), 1))
}

// present is the account as the gate of a host sees it.
type present struct{ *share.Account }

func (p present) Allowed(t ident.TransportKey) bool { _, ok := p.Account.Allowed(t); return ok }

func (p present) Peers() (out []p2p.Peer) {
	for _, d := range p.Devices() {
		if d.ID != p.Self().ID {
			out = append(out, p2p.Peer{Device: d.ID, Transport: d.Transport})
		}
	}
	return out
}

// misspell runs a device's home with such a program, on the real network, while do works on its
// namespace.
func misspell(t *testing.T, d *device, peer ident.DeviceID, addr string, do func(*namespace.Replica)) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	home := config.Home(d.home)
	master, _, _, err := keystore.Unlock(ctx, home.Dir(), keystore.Options{})
	check(err)
	db, err := kv.Open(home.StoreDir(), master, kv.Options{})
	check(err)
	defer db.Close()
	account, err := share.Open(db, share.Options{})
	check(err)
	read, err := account.ReadKey(1)
	check(err)
	blind, err := account.BlindKey(1)
	check(err)
	self := account.Self().ID
	names, err := namespace.Open(namespace.Config{DB: db, Share: account.ShareID(), Self: self, Key: account.SigningKey(),
		Sealer: misspeller{seal.New(account.ShareID(), 1, read)}, Known: account.Member, Disk: config.DiskMark(home.StoreDir())})
	check(err)
	defer names.Close()
	host, err := p2p.New(ctx, p2p.Config{TransportKey: account.TransportKey(), Listen: p2p.Listen(0), Directory: present{account}})
	check(err)
	defer host.Close()
	host.AddAddrs(peer, []string{addr}, false)
	events, stop := host.Subscribe()
	defer stop()
	r := replicate.New(replicate.Config{Network: host, Records: names, Members: account, Self: self, Blind: blind})
	ran := make(chan struct{})
	go func() { defer close(ran); r.Run(ctx, events) }()
	do(names)
	cancel()
	<-ran
}

// A device with a broken program signs what is no name. The other one, a real process, takes
// nothing further of it and says so everywhere; its own work goes on. When the program is
// mended, one command brings everything over.
func TestDeviceThatSignsNonsense(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	_ = l.Close()
	a, b := newDevice(t, "a", "--listen", addr.String()).up(), newDevice(t, "b")
	a.write("first", []byte("1"))
	a.admit(b)
	b.up()
	b.shows("first", []byte("1"))
	b.write("of-b", []byte("2"))
	a.shows("of-b", []byte("2"))
	id, err := ident.ParseDeviceID(a.status().Device.ID)
	if err != nil {
		t.Fatal(err)
	}
	b.must("down")

	type quarantine struct {
		Refused  []struct{ From, Writer, Why string }
		Frozen   []struct{ Name, Why string }
		FrozenBy []string `json:"frozen_by"`
	}
	said := func(d *device) (q quarantine) { d.decode(&q, "quarantine", "--json"); return q }
	misspell(t, b, id, "/ip4/127.0.0.1/tcp/"+addr.String()[strings.LastIndexByte(addr.String(), ':')+1:], func(names *namespace.Replica) {
		for _, name := range []string{"wrong", "later"} {
			if _, err := names.Create(namespace.Root, name, namespace.Spec{Kind: namespace.File, Mode: 0o644}); err != nil {
				t.Fatal(err)
			}
			if err := names.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, 20*time.Second, "a has frozen b", func() bool { return len(said(a).Frozen) == 1 })
		a.write("more", []byte("3"))
		eventually(t, 20*time.Second, "b gets what a writes, and hears that it is frozen", func() bool {
			_, err := names.Lookup(namespace.Root, "more")
			return err == nil && len(names.FrozenBy()) == 1
		})
	})
	q := said(a)
	if q.Frozen[0].Name != "b" || len(q.Refused) == 0 || q.Refused[0].Writer != "b" || q.Refused[0].Why != "record: value" {
		t.Errorf("%+v", q)
	}
	for _, words := range [][]string{{"status"}, {"doctor"}, {"devices"}} {
		if out, _ := a.try(words...); !strings.Contains(out, "shelf quarantine release") && !strings.Contains(out, "frozen") {
			t.Errorf("shelf %s says nothing of it:\n%s", words[0], out)
		}
	}
	listed := func() (names []string) {
		es, _ := os.ReadDir(a.mnt)
		for _, e := range es {
			names = append(names, e.Name())
		}
		return names
	}
	if got := listed(); !slices.Equal(got, []string{"first", "more", "of-b"}) {
		t.Errorf("a shows %q", got)
	}
	a.must("down")
	a.up()
	if len(said(a).Frozen) != 1 {
		t.Error("a restart made it forget")
	}

	b.up() // with a program that is in order
	eventually(t, 20*time.Second, "b hears that it is frozen", func() bool { return len(said(b).FrozenBy) == 1 })
	if out := b.must("status"); !strings.Contains(out, "shelf quarantine release") {
		t.Errorf("b is not told what to do:\n%s", out)
	}
	b.must("quarantine", "release")
	eventually(t, 20*time.Second, "a shows all", func() bool {
		return slices.Equal(listed(), []string{"first", "later", "more", "of-b", "wrong"}) && len(said(a).Frozen) == 0 && len(said(b).FrozenBy) == 0
	})
	b.write("on", []byte("4"))
	a.shows("on", []byte("4"))
}
