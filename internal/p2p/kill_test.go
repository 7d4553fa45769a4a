package p2p_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/p2p"
)

// The child is a device in a process of its own, that can be killed.
const childEnv = "SHELF_P2P_TEST_CHILD"

func TestMain(m *testing.M) {
	if arg := os.Getenv(childEnv); arg != "" {
		child(strings.Split(arg, " "))
		return
	}
	os.Exit(m.Run())
}

// keyOf is a transport key that parent and child both know.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func peerOf(n byte, name string) p2p.Peer {
	return p2p.Peer{Device: ident.DeviceID{n}, Transport: p2p.TransportKeyOf(keyOf(name))}
}

// seeded is the same blocks in both processes.
func seeded() *shelfOf {
	s := &shelfOf{m: map[blocks.Digest]blocks.Sealed{}}
	rnd := rand.NewChaCha8([32]byte{7})
	for range 300 {
		b := make([]byte, 256<<10)
		_, _ = rnd.Read(b)
		blk := blocks.New(b)
		s.m[blk.Digest] = blk
		s.ds = append(s.ds, blk.Digest)
	}
	return s
}

// child serves the blocks until it is killed. Its arguments are where to listen.
func child(listen []string) {
	store := seeded()
	h, err := p2p.New(context.Background(), p2p.Config{
		TransportKey: keyOf("child"), Listen: listen, Directory: &directory{peers: []p2p.Peer{peerOf(1, "parent")}},
	})
	if err != nil {
		panic(err)
	}
	exchange.New(exchange.Config{Network: h, Store: store})
	_, _ = os.Stdout.WriteString(strings.Join(h.Listening(), " ") + "\n")
	time.Sleep(time.Minute) // whatever becomes of the parent
}

func spawn(t *testing.T, listen string) (cmd *exec.Cmd, listening string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+listen)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(line)
}

// A device is killed in the middle of a transfer and started again: everything arrives, without an error.
func TestKilledInTheMiddleOfATransfer(t *testing.T) {
	store := seeded()
	cmd, listening := spawn(t, tcpOnly[0])
	h, err := p2p.New(t.Context(), p2p.Config{
		TransportKey: keyOf("parent"), Listen: tcpOnly, Directory: &directory{peers: []p2p.Peer{peerOf(2, "child")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	h.AddAddrs(ident.DeviceID{2}, strings.Split(listening, " "), false)
	x := exchange.New(exchange.Config{Network: h, Store: newShelfOf(0, 0)})
	defer func() { _ = x.Close() }()
	roster := fetch.NewRoster(x.Source)
	roster.Set([]fetch.Device{{ID: ident.DeviceID{2}}})
	events, stop := h.Subscribe()
	defer stop()
	var lost time.Time
	back := make(chan time.Duration, 8)
	go func() {
		for e := range events {
			if roster.Set([]fetch.Device{{ID: e.Device, Connected: e.Connected, LastSeen: time.Now()}}); e.Connected {
				if !lost.IsZero() {
					back <- time.Since(lost)
				}
			} else {
				lost = time.Now()
			}
		}
	}()
	f := fetch.New(fetch.Config{
		Cache: newShelfOf(0, 0), Locator: roster, Present: func(blocks.Digest) bool { return false },
		Limits: fetch.Limits{PerSource: 4 << 20, Grace: 20 * time.Second},
	})
	defer func() { _ = f.Close() }()
	n := 0
	err = f.FetchAll(t.Context(), fetch.Pin, slices.Values(store.ds), func(d blocks.Digest, err error) {
		if err != nil {
			t.Errorf("%s after %d: %v", hex.EncodeToString(d[:4]), n, err)
		}
		if n++; n == 50 || n == 150 {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			cmd, _ = spawn(t, listening)
		}
	})
	if err != nil || n != len(store.ds) {
		t.Error(n, err)
	}
	for range 2 {
		select {
		case took := <-back:
			t.Logf("back %v after the loss, the start of the process included", took)
		case <-time.After(10 * time.Second):
			t.Fatal("not connected again")
		}
	}
}
