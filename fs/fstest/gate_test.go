package fstest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/paths"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// porter is a gate that notes what it is asked.
type porter struct {
	store *localBlocks

	mu     sync.Mutex
	asks   []fs.Ask
	who    map[uint32]bool
	wait   time.Duration
	deny   func(fs.Ask) error
	ended  []error
	coming bool // whatever is not here is on its way
	ahead  int  // blocks that were wished for in advance and were not here
}

// aheadOf are the blocks of a device with a porter, which sees what is wished for in advance.
type aheadOf struct {
	*localBlocks
	p *porter
}

func (a aheadOf) Ahead(ds ...blocks.Digest) func() {
	for _, d := range ds {
		if here, _ := a.Find(d); !here {
			a.p.mu.Lock()
			a.p.ahead++
			a.p.mu.Unlock()
		}
	}
	return func() {}
}

func (a aheadOf) Find(d blocks.Digest) (here, coming bool) {
	here, _ = a.localBlocks.Find(d)
	return here, !here && a.p.coming
}

func (p *porter) Admit(_ context.Context, r fs.Reader, a fs.Ask) (fs.Leave, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks = append(p.asks, a)
	if p.who == nil {
		p.who = map[uint32]bool{}
	}
	p.who[r.PID] = true
	if p.deny != nil {
		if err := p.deny(a); err != nil {
			return fs.Leave{}, err
		}
	}
	return fs.Leave{Wait: p.wait, Done: func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ended = append(p.ended, err)
	}}, nil
}

// take forgets what was asked so far, and returns it.
func (p *porter) take() (asks []fs.Ask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	asks, p.asks = p.asks, nil
	return asks
}

func withheld(fs.Ask) error { return errs.E("test", errs.Withheld, "", nil) }

func notAhead(a fs.Ask) error {
	if a.Ahead {
		return withheld(a)
	}
	return nil
}

const dirFiles = 60

// guarded is a device with a porter before files of another one: "file", of some blocks, and small ones in "dir". It
// remembers nothing that it opened.
func guarded(t *testing.T, size int) (d *device, p *porter, data []byte) {
	t.Helper()
	return guardedWith(t, size, 1)
}

func guardedWith(t *testing.T, size int, plain int64) (d *device, p *porter, data []byte) {
	t.Helper()
	a := newDevice(t, setup{n: 1})
	p = &porter{}
	d = newDevice(t, setup{n: 2, limits: fs.Limits{Plain: plain}, wrap: func(c *fs.Config) {
		p.store = c.Blocks.(*localBlocks)
		c.Blocks, c.Gate = aheadOf{p.store, p}, p
	}})
	join(d, a)
	data = make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	sys := Core(a.fs, fs.Caller{}, "")
	put := func(name string, data []byte) {
		f, err := sys.Open(name, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Pwrite(data, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	put("file", data)
	if err := sys.Mkdir("dir", 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range dirFiles {
		put(fmt.Sprintf("dir/%03d", i), data[i:1000])
	}
	if err := a.fs.Sync(bg); err != nil {
		t.Fatal(err)
	}
	if err := d.pull(a); err != nil {
		t.Fatal(err)
	}
	return d, p, data
}

// handle opens "file" of a device.
func (d *device) handle(t *testing.T, fl fs.OpenFlags) *fs.Handle {
	t.Helper()
	return d.handleOf(t, "file", fl)
}

func (d *device) handleOf(t *testing.T, name string, fl fs.OpenFlags) *fs.Handle {
	t.Helper()
	var h *fs.Handle
	err := paths.Walk(bg, d.fs, name, func(i fs.Ino, _ fs.Attr) (err error) {
		h, err = d.fs.Open(bg, i, fl)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// readAll reads a handle in order, as who.
func readAll(ctx context.Context, h *fs.Handle, size int) ([]byte, error) {
	out := make([]byte, 0, size)
	buf := make([]byte, 128<<10)
	for {
		n, err := h.Read(ctx, int64(len(out)), buf)
		if err != nil || n == 0 {
			return out, err
		}
		out = append(out, buf[:n]...)
	}
}

var someone = fs.WithReader(bg, fs.Reader{PID: 7})

// The gate is asked for what is not here, all of it and once, and for nothing that is here.
func TestTheGateIsAskedOnlyForWhatIsAway(t *testing.T) {
	d, p, data := guarded(t, 5<<20)
	p.deny = notAhead
	h := d.handle(t, fs.OpenFlags{Read: true})
	got, err := readAll(someone, h, len(data))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes: %v", len(got), err)
	}
	var bytesAsked int64
	for _, a := range p.take() {
		if !a.Ahead {
			bytesAsked += a.Bytes
		}
	}
	if bytesAsked != int64(len(data)) || len(p.who) != 1 || !p.who[7] {
		t.Errorf("asked for %d bytes of %d, by %v", bytesAsked, len(data), p.who)
	}
	d.blocks.asked = 0
	if got, err := readAll(someone, h, len(data)); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("again: %d bytes: %v", len(got), err)
	}
	if asks := p.take(); len(asks) != 0 || d.blocks.asked == 0 {
		t.Errorf("%+v asked about what is here; %d blocks read", asks, d.blocks.asked)
	}
}

// What is on its way already is not counted once more, but nobody gets it who may not.
func TestWhatIsOnItsWayCountsOnce(t *testing.T) {
	d, p, data := guarded(t, 5<<20)
	p.coming = true
	got, err := readAll(someone, d.handle(t, fs.OpenFlags{Read: true}), len(data))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes: %v", len(got), err)
	}
	asks := p.take()
	for _, a := range asks {
		if a.Bytes != 0 {
			t.Errorf("counted: %+v", a)
		}
	}
	if len(asks) == 0 {
		t.Error("the gate was not asked")
	}
}

// Who is refused brings nothing, not even a list of blocks.
func TestWhoIsRefusedBringsNothing(t *testing.T) {
	for name, size := range map[string]int{"one block": 1000, "with a manifest": 5 << 20} {
		d, p, data := guarded(t, size)
		p.deny = withheld
		h := d.handle(t, fs.OpenFlags{Read: true})
		for range 3 {
			if got, err := readAll(someone, h, len(data)); !errs.Is(err, errs.Withheld) || len(got) > 0 {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
		if d.blocks.asked != 0 || p.ahead != 0 {
			t.Errorf("%s: %d blocks asked for, %d ahead", name, d.blocks.asked, p.ahead)
		}
		if e := fs.Errno(withheld(fs.Ask{})); e.Error() != "permission denied" {
			t.Errorf("%v", e)
		}
	}
}

// Who may have nothing read ahead gets what it reads.
func TestNothingIsReadAheadForWhoMayNot(t *testing.T) {
	d, p, data := guarded(t, 5<<20)
	p.deny = notAhead
	got, err := readAll(someone, d.handle(t, fs.OpenFlags{Read: true}), len(data))
	if err != nil || !bytes.Equal(got, data) || p.ahead != 0 {
		t.Errorf("%d bytes: %v; %d blocks ahead", len(got), err, p.ahead)
	}
}

// Who goes through a directory has the next files asked for in advance, each in its own name; who may
// not, does not.
func TestFilesOfADirectoryAreReadAheadForWhoMay(t *testing.T) {
	for name, deny := range map[string]func(fs.Ask) error{"may": nil, "may not": notAhead, "refused": withheld} {
		d, p, data := guarded(t, 1000)
		p.deny = deny
		for i := range dirFiles {
			h := d.handleOf(t, fmt.Sprintf("dir/%03d", i), fs.OpenFlags{Read: true})
			got, err := readAll(someone, h, 1000)
			if name != "refused" && (err != nil || !bytes.Equal(got, data[i:1000])) {
				t.Fatalf("%s: %d bytes: %v", name, len(got), err)
			}
			time.Sleep(time.Millisecond) // the directory is listed beside
		}
		nodes, ahead := map[namespace.NodeID]bool{}, 0
		for _, a := range p.take() {
			if a.Ahead {
				ahead++
				nodes[a.Node] = true
			}
		}
		if (p.ahead > 0) != (name == "may") || ahead == 0 || name == "may" && len(nodes) < dirFiles/2 {
			t.Errorf("%s: %d blocks ahead of %d files, asked %d times", name, p.ahead, len(nodes), ahead)
		}
		if name == "refused" && d.blocks.asked > 0 {
			t.Errorf("%d blocks asked for", d.blocks.asked)
		}
	}
}

// What the filesystem needs itself, to save a file of which a part was written, is not asked about.
func TestSavingIsNotAskedAbout(t *testing.T) {
	d, p, data := guarded(t, 5<<20)
	p.deny = withheld
	h := d.handle(t, fs.OpenFlags{Write: true})
	if _, err := h.WriteAt(someone, 1<<20, []byte("changed"), fs.WriteFlags{}); err != nil {
		t.Fatal(err)
	}
	if err := d.fs.Sync(bg); err != nil {
		t.Fatal(err)
	}
	copy(data[1<<20:], "changed")
	p.deny = nil
	if got, err := readAll(someone, d.handle(t, fs.OpenFlags{Read: true}), len(data)); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes: %v", len(got), err)
	}
}

// A wait ends when the gate says, as a timeout; who waits for the same block longer gets it.
func TestNoReaderEndsTheWaitOfAnother(t *testing.T) {
	for name, size := range map[string]int{"one block": 1000, "with a manifest": 5 << 20} {
		d, p, data := guarded(t, size)
		h := d.handle(t, fs.OpenFlags{Read: true})
		d.blocks.gate = make(chan struct{})
		type result struct {
			b   []byte
			err error
		}
		patient := make(chan result, 1)
		go func() {
			b, err := readAll(someone, h, len(data))
			patient <- result{b, err}
		}()
		for end := time.Now().Add(20 * time.Second); p.take() == nil; time.Sleep(time.Millisecond) { // it is let in without a bound
			if time.Now().After(end) {
				t.Fatalf("%s: the gate is not asked", name)
			}
		}
		p.mu.Lock()
		p.wait = time.Millisecond
		p.mu.Unlock()
		ctx, cancel := context.WithCancel(someone)
		defer time.AfterFunc(20*time.Second, cancel).Stop() // an interrupt, should there be no other end
		if _, err := h.Read(ctx, 0, make([]byte, 100)); !errs.Is(err, errs.Timeout) {
			t.Errorf("%s: %v", name, err)
		}
		p.mu.Lock()
		p.wait = 0
		if n := len(p.ended); n == 0 || !errs.Is(p.ended[n-1], errs.Timeout) {
			t.Errorf("%s: the gate was told %v", name, p.ended)
		}
		p.mu.Unlock()
		close(d.blocks.gate)
		if r := <-patient; r.err != nil || !bytes.Equal(r.b, data) {
			t.Errorf("%s: %d bytes: %v", name, len(r.b), r.err)
		}
	}
}
