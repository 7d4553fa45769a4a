package namespace

import (
	"context"
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// After a crash at any moment: what was synced is there, the log goes on without using a
// number twice that a peer can have seen, and the replica still agrees with its peers.
func TestCrash(t *testing.T) {
	for seed := range int64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			w := newWorld(t, seed, 1)
			b := w.devices[0]
			a := &device{t: t, key: b.key, name: "a", disk: vfs.NewCrashableMem(), world: w}
			seedKey(a, "a")
			w.devices = append(w.devices, a)
			a.open()
			t.Cleanup(a.close)
			synced := map[string]bool{}
			for round := range 4 {
				var names []string
				for i := range 20 {
					n := fmt.Sprintf("f%d-%d", round, i)
					e := mkfile(t, a.Replica, Root, n, i+1)
					if rng.Intn(3) == 0 {
						must(a.Commit(e.ID, nil, content(i+100), Now))
					}
					names = append(names, n)
					switch rng.Intn(6) {
					case 0:
						must(0, a.Sync(context.Background()))
						for _, n := range names {
							synced[n] = true
						}
					case 1:
						pull(t, b, a, -1)
						for _, n := range names {
							synced[n] = true
						}
					case 2:
						if len(names) > 3 && !synced[names[0]] {
							must(a.Remove(Root, names[0], false))
							names = names[1:]
						}
					}
				}
				crashed := a.disk.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.Intn(101), RNG: randV2(seed)})
				a.close()
				a.disk = crashed
				a.open()
				checkView(t, a.Replica)
				for n := range synced {
					if _, err := a.Lookup(Root, n); err != nil {
						t.Fatalf("%s was durable: %v", n, err)
					}
				}
				if seen := b.Claims().Upto(a.self); seen > a.Written() {
					t.Fatalf("a peer knows %d, the log goes on from %d", seen, a.Written())
				}
			}
			w.heal()
			checkView(t, b.Replica)
			if ha, hb := a.Hello(ident.DeviceID{}), b.Hello(ident.DeviceID{}); ha.Fingerprint != hb.Fingerprint {
				t.Error("the replicas differ")
			}
		})
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	w, a, b := two(t)
	d := mkdir(t, a.Replica, Root, "d")
	f := mkfile(t, a.Replica, d.ID, "f", 1)
	pull(t, b, a, -1)
	must(0, b.Acknowledged(a.id(), a.Claims()))
	hello, totals := b.Hello(ident.DeviceID{}), b.Stat()
	b.close()
	b.open()
	if h := b.Hello(ident.DeviceID{}); h.Fingerprint != hello.Fingerprint || !h.Claims.Covers(hello.Claims) || b.Stat() != totals {
		t.Errorf("%+v\n%+v", h, hello)
	}
	if c := b.Acks()[a.id()]; !c.Covers(a.Claims()) {
		t.Errorf("acknowledged: %+v", c)
	}
	must(b.Commit(f.ID, nil, content(2), Now))
	w.agree(t, d.ID, "f")
}

func TestWrongKeyAndClosed(t *testing.T) {
	w := newWorld(t, 1, 2)
	a := w.devices[0]
	_, err := Open(Config{DB: a.db, Self: w.devices[1].id(), Key: a.key, Sealer: w.sealer})
	wantKind(t, err, errs.Invalid)
	r := a.Replica
	must(0, r.Close())
	must(0, r.Close())
	_, err = r.Create(Root, "x", Spec{Kind: File})
	wantKind(t, err, errs.Closed)
}

// Without anybody asking, operations become durable within a few milliseconds.
func TestGroupCommit(t *testing.T) {
	w := newWorld(t, 1, 1)
	d := w.devices[0]
	d.close()
	d.db = must(kv.Open("db", [32]byte{9}, kv.Options{FS: d.disk, FreeFloor: -1, Ballast: -1}))
	d.Replica = must(Open(Config{DB: d.db, Share: w.share, Self: d.id(), Key: d.key, Sealer: w.sealer}))
	changed := d.Changed()
	mkfile(t, d.Replica, Root, "x", 1)
	select {
	case <-changed:
	case <-time.After(5 * time.Second):
		t.Fatal("not durable")
	}
	if d.Synced() != 2 || d.Claims().Upto(d.self) != 2 {
		t.Errorf("durable up to %d", d.Synced())
	}
	// many at once share the work
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				mkfile(t, d.Replica, Root, fmt.Sprint(i, "-", j), 1)
				if err := d.Sync(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if d.Synced() != d.Written() || d.Written() != 2+2*160 {
		t.Errorf("durable %d, written %d", d.Synced(), d.Written())
	}
}

func TestWatch(t *testing.T) {
	w, a, b := two(t)
	watch := b.Watch()
	f := mkfile(t, a.Replica, Root, "f", 1)
	pull(t, b, a, -1)
	ctx := context.Background()
	news := must(watch.Next(ctx))
	if len(news) != 1 || news[0] != (Change{What: NameChanged, Parent: Root, Name: "f", Node: f.ID, Remote: true}) {
		t.Fatalf("%+v", news)
	}
	must(b.SetAttr(f.ID, AttrChange{Mode: ptr(uint32(0))}))
	must(b.SetAttr(f.ID, AttrChange{Mode: ptr(uint32(1))})) // joined
	must(b.Commit(f.ID, nil, content(2), Now))
	must(0, b.SetPlacement(f.ID, a.id(), Cloud))
	what := map[What]int{}
	for _, c := range must(watch.Next(ctx)) {
		if c.Remote || c.Node != f.ID {
			t.Errorf("%+v", c)
		}
		what[c.What]++
	}
	if what[AttrChanged] != 1 || what[ContentChanged] != 1 || what[PlacementChanged] != 1 || len(what) != 3 {
		t.Errorf("%+v", what)
	}
	must2(b.Rename(Root, "f", Root, "g", 0))
	names := map[string]Change{}
	for _, c := range must(watch.Next(ctx)) {
		if c.What == NameChanged {
			names[c.Name] = c
		}
	}
	if names["f"].Old != f.ID || !names["f"].Node.IsZero() || names["g"].Node != f.ID {
		t.Errorf("%+v", names)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err := watch.Next(short)
	wantKind(t, err, errs.Timeout)
	for i := range maxWaiting + 10 { // nobody listens
		watch.add([]Change{{What: AttrChanged, Node: NodeID{byte(i), byte(i >> 8), byte(i >> 16)}}})
	}
	if news := must(watch.Next(ctx)); len(news) != 1 || news[0].What != Overflow {
		t.Errorf("%d changes", len(news))
	}
	done := make(chan error)
	go func() { _, err := watch.Next(ctx); done <- err }()
	watch.Close()
	wantKind(t, <-done, errs.Closed)
	b.NamesChanged()
	_ = w
}

// What a name stood for between two changes that were joined is told of, too.
func TestWatchTellsOfWhatANamePassed(t *testing.T) {
	w, a, b := two(t)
	watch := b.Watch()
	d := mkdir(t, b.Replica, Root, "d")
	w.heal()
	must(a.Remove(Root, "d", true))
	w.heal()
	var told bool
	for _, c := range must(watch.Next(context.Background())) {
		if c.What == NameChanged && (!c.Node.IsZero() || !c.Old.IsZero()) {
			t.Errorf("%+v", c)
		}
		told = told || c == Change{What: AttrChanged, Node: d.ID, Remote: true}
	}
	if !told {
		t.Error("nothing tells of d, which somebody may have found")
	}
}

// Readers run beside writers and frames of peers.
func TestConcurrentUse(t *testing.T) {
	w, a, b := two(t)
	d := mkdir(t, a.Replica, Root, "d")
	pull(t, b, a, -1)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, e := range must(b.List(d.ID, 0, 1000)) {
					if _, err := b.Get(e.ID); err != nil && !isKind(err, errs.Stale) {
						t.Error(err)
					}
				}
				b.Hello(ident.DeviceID{})
				b.Stat()
			}
		})
	}
	wg.Go(func() {
		for i := range 60 {
			mkfile(t, b.Replica, d.ID, fmt.Sprint("b", i), i)
			if i%3 == 0 {
				must(b.Remove(d.ID, fmt.Sprint("b", i), false))
			}
		}
	})
	for i := range 60 {
		mkfile(t, a.Replica, d.ID, fmt.Sprint("a", i), i)
		pull(t, b, a, -1)
		pull(t, a, b, -1)
	}
	close(stop)
	wg.Wait()
	w.heal()
	checkView(t, a.Replica)
	checkView(t, b.Replica)
}

// Nothing travels before the place of the node that it is about, nor a place before that of the
// directory above; removals come last (S3).
func TestOrderOfADelta(t *testing.T) {
	_, a, b := two(t)
	d := mkdir(t, a.Replica, Root, "d")
	for i := range 10 {
		e := mkfile(t, a.Replica, d.ID, fmt.Sprint(i), i)
		must(a.SetAttr(e.ID, AttrChange{Mode: ptr(uint32(i))}))
		if i%2 == 0 {
			must(a.Remove(d.ID, fmt.Sprint(i), false))
		}
	}
	pull(t, b, a, -1)
	must(b.Remove(d.ID, "1", false))
	_, _, err := b.Rename(d.ID, "3", d.ID, "moved", RenameReplace)
	must(0, err)
	_, _, err = b.Rename(Root, "d", Root, "e", RenameReplace) // its place has a late turn
	must(0, err)
	delta := must(b.Since(context.Background(), Hello{}))
	defer delta.Close()
	delta.page = 3
	placed, removals := map[NodeID]bool{Root: true}, 0
	for {
		raw, err := delta.Next()
		if err != nil {
			break
		}
		f := must(parseFrame(raw))
		if len(f.records) > 3 || len(raw) > MaxFrame {
			t.Errorf("%d records", len(f.records))
		}
		for _, x := range f.records {
			rec := must(parseRecord(x.bytes, x.writer))
			id, v, err := rec.open(b.cfg.Sealer, x.writer, b.cfg.reads)
			must(0, err)
			switch {
			case v.Class == merge.Nothing:
				removals++
			case removals > 0:
				t.Errorf("%v after a removal", id)
			case v.Class == merge.Placed && !placed[v.Place.Parent]:
				t.Errorf("%q comes before the directory above", v.Place.Name)
			case v.Class == merge.Placed:
				placed[id.node] = true
			case !placed[id.node]:
				t.Errorf("%v comes before its place", id)
			}
		}
	}
	if removals == 0 {
		t.Error("no removals")
	}
}
