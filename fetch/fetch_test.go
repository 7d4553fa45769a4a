package fetch_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// memory is a cache in memory that counts.
type memory struct {
	mu       sync.Mutex
	m        map[blocks.Digest]blocks.Sealed
	gets     int
	noSpace  bool
	putDelay time.Duration
}

func (c *memory) GetBlock(_ context.Context, d blocks.Digest) (blocks.Sealed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gets++
	if b, ok := c.m[d]; ok {
		return b, nil
	}
	return blocks.Sealed{}, errs.E("memory", errs.NotExist, "", nil)
}

func (c *memory) PutBlock(_ context.Context, b blocks.Sealed) error {
	time.Sleep(c.putDelay)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noSpace {
		return errs.E("memory", errs.NoSpace, "", nil)
	}
	c.m[b.Digest] = blocks.Sealed{Digest: b.Digest, Bytes: slices.Clone(b.Bytes)} // the memory is the fetcher's
	return nil
}

func (c *memory) has(d blocks.Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.m[d]
	return ok
}

// source is a scripted device.
type source struct {
	id ident.DeviceID
	m  map[blocks.Digest]blocks.Sealed

	mu     sync.Mutex
	delay  time.Duration // before an answer
	err    error         // instead of an answer
	lie    bool
	hang   bool
	served int
	asked  []fetch.Request
}

func (s *source) Device() ident.DeviceID { return s.id }

func (s *source) Fetch(ctx context.Context, r fetch.Request) ([]byte, error) {
	s.mu.Lock()
	s.asked = append(s.asked, r)
	delay, err, lie, hang := s.delay, s.err, s.lie, s.hang
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	b, ok := s.m[r.Digest]
	if !ok {
		return nil, errs.E("source", errs.NotExist, "", nil)
	}
	body := b.Bytes
	if r.Part.Len > 0 {
		if body, err = b.AppendPart(nil, r.Part); err != nil {
			return nil, errs.E("source", errs.NotExist, "", nil)
		}
	}
	r.Progress.Add(uint64(len(body)))
	if lie {
		wrong := slices.Clone(body)
		wrong[len(wrong)/2] ^= 1
		return wrong, nil
	}
	s.mu.Lock()
	s.served++
	s.mu.Unlock()
	return body, nil
}

func (s *source) set(change func()) { s.mu.Lock(); defer s.mu.Unlock(); change() }

func (s *source) count() (asked, served int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked), s.served
}

// scene is a fetcher with some devices.
type scene struct {
	*fetch.Fetcher
	cache   *memory
	roster  *fetch.Roster
	devices []fetch.Device
	sources []*source
	blocks  []blocks.Digest
	reports []fetch.Report
}

// play runs a test in virtual time with n devices, of which each has all of the blocks.
// The devices are on LAN paths of 1, 2, … ms; each answers in 1 ms.
func play(t *testing.T, n, nblocks, size int, tune func(*fetch.Config), act func(t *testing.T, s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{cache: &memory{m: map[blocks.Digest]blocks.Sealed{}}}
		all := map[blocks.Digest]blocks.Sealed{}
		rnd := rand.NewChaCha8([32]byte{1})
		for range nblocks {
			buf := make([]byte, size)
			_, _ = rnd.Read(buf)
			b := blocks.New(buf)
			all[b.Digest] = b
			s.blocks = append(s.blocks, b.Digest)
		}
		for i := range n {
			s.sources = append(s.sources, &source{id: ident.DeviceID{byte(i + 1)}, m: all, delay: time.Millisecond})
			s.devices = append(s.devices, fetch.Device{
				ID: ident.DeviceID{byte(i + 1)}, Connected: true, Path: fetch.LAN, RTT: time.Duration(i+1) * time.Millisecond,
			})
		}
		s.roster = fetch.NewRoster(func(d ident.DeviceID) fetch.Source { return s.sources[d[0]-1] })
		s.roster.Set(s.devices)
		cfg := fetch.Config{
			Cache: s.cache, Locator: s.roster, Present: s.cache.has,
			Report: func(r fetch.Report) { s.reports = append(s.reports, r) },
		}
		if tune != nil {
			tune(&cfg)
		}
		s.Fetcher = fetch.New(cfg)
		act(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func (s *scene) connect(i int, yes bool) {
	s.devices[i].Connected = yes
	s.devices[i].LastSeen = time.Now()
	s.roster.Set(s.devices)
}

func TestNearestFirstThenFromTheCache(t *testing.T) {
	play(t, 3, 2, 1000, nil, func(t *testing.T, s *scene) {
		for range 2 {
			b, err := s.GetBlock(t.Context(), s.blocks[0])
			if err != nil || b.Digest != s.blocks[0] || b.Verify() != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if asked, _ := s.sources[0].count(); asked != 1 {
			t.Errorf("nearest asked %d times", asked)
		}
		for _, other := range s.sources[1:] {
			if asked, _ := other.count(); asked != 0 {
				t.Error("a farther device was asked")
			}
		}
	})
}

func TestMissGoesToTheNext(t *testing.T) {
	play(t, 3, 1, 1000, nil, func(t *testing.T, s *scene) {
		s.sources[0].m, s.sources[1].m = nil, nil
		start := time.Now()
		if _, err := s.GetBlock(t.Context(), s.blocks[0]); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 10*time.Millisecond {
			t.Error("two misses took", took)
		}
	})
}

func TestNobodyHasIt(t *testing.T) {
	play(t, 2, 1, 10, nil, func(t *testing.T, s *scene) {
		start := time.Now()
		_, err := s.GetBlock(t.Context(), blocks.Digest{1})
		if took := time.Since(start); !errs.Is(err, errs.Offline) || took > 50*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		// A device that went away a moment ago might have it: a short grace.
		s.connect(0, false)
		start = time.Now()
		_, err = s.GetBlock(t.Context(), blocks.Digest{2})
		if took := time.Since(start); !errs.Is(err, errs.Offline) || took < time.Second || took > 2500*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		// One that went long ago: no.
		time.Sleep(time.Hour)
		start = time.Now()
		if _, err = s.GetBlock(t.Context(), blocks.Digest{3}); !errs.Is(err, errs.Offline) || time.Since(start) > 50*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// Readers of many files all hear in time that the only device is gone, in whatever order they are looked at.
func TestNobodyIsForgottenWhenADeviceVanishes(t *testing.T) {
	for range 20 {
		play(t, 1, 5, 10, nil, func(t *testing.T, s *scene) {
			time.Sleep(time.Minute)
			s.sources[0].delay, s.sources[0].err = 10*time.Millisecond, errs.E("x", errs.Offline, "", nil)
			start := time.Now()
			var wg sync.WaitGroup
			for i, d := range s.blocks {
				wg.Go(func() {
					_, err := s.Group().Get(t.Context(), d, fetch.OnDemand)
					if took := time.Since(start); !errs.Is(err, errs.Offline) || took > 4*time.Second {
						t.Errorf("reader %d: %v after %v", i, err, took)
					}
				})
			}
			time.Sleep(10 * time.Millisecond) // when they begin to wait for another try
			s.connect(0, false)
			wg.Wait()
		})
	}
}

func TestAReturningDeviceIsWaitedFor(t *testing.T) {
	play(t, 1, 1, 10, nil, func(t *testing.T, s *scene) {
		time.Sleep(time.Minute)
		s.sources[0].err = errs.E("x", errs.Offline, "", nil)
		go func() {
			time.Sleep(300 * time.Millisecond)
			s.connect(0, false)
			time.Sleep(700 * time.Millisecond)
			s.sources[0].set(func() { s.sources[0].err = nil })
			s.connect(0, true)
		}()
		start := time.Now()
		if _, err := s.GetBlock(t.Context(), s.blocks[0]); err != nil || time.Since(start) > 1100*time.Millisecond {
			t.Error(err, time.Since(start))
		}
	})
}

func TestOneFlightForAll(t *testing.T) {
	play(t, 2, 1, 1000, nil, func(t *testing.T, s *scene) {
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if _, err := s.Get(t.Context(), s.blocks[0], fetch.Priority(i%7)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		a, _ := s.sources[0].count()
		b, _ := s.sources[1].count()
		if a+b != 1 {
			t.Errorf("%d requests for one block", a+b)
		}
	})
}

func TestUrgentOvertakesManyPins(t *testing.T) {
	tune := func(c *fetch.Config) { c.Limits.InFlightBytes = 4 << 20 }
	play(t, 1, manyPins+1, 1000, tune, func(t *testing.T, s *scene) {
		s.sources[0].delay = 50 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		n := 0
		go func() {
			done <- s.FetchAll(ctx, fetch.Pin, slices.Values(s.blocks[1:]), func(blocks.Digest, error) { n++ })
		}()
		time.Sleep(10 * time.Millisecond)
		start := time.Now()
		if _, err := s.GetBlock(t.Context(), s.blocks[0]); err != nil || time.Since(start) > 60*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		// One of the queued pins becomes urgent: it overtakes the others.
		start = time.Now()
		if _, err := s.GetBlock(t.Context(), s.blocks[900]); err != nil || time.Since(start) > 60*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		s.sources[0].set(func() { s.sources[0].delay = 0 })
		if err := <-done; err != nil || n != manyPins {
			t.Error(n, err)
		}
		for _, d := range s.blocks[1:] {
			if !s.cache.has(d) {
				t.Fatal("a pin is not in the cache")
			}
		}
		cancel()
	})
}

func TestUrgencyReachesTheSource(t *testing.T) {
	play(t, 1, 1, 10, nil, func(t *testing.T, s *scene) {
		s.sources[0].delay = time.Second
		w := s.Want(fetch.Background, s.blocks[0])
		synctest.Wait()
		go func() { _, _ = s.Get(t.Context(), s.blocks[0], fetch.Pin) }()
		synctest.Wait()
		if _, err := s.GetBlock(t.Context(), s.blocks[0]); err != nil {
			t.Fatal(err)
		}
		w.Cancel()
		asked := s.sources[0].asked
		if len(asked) != 1 || asked[0].Priority != fetch.Background {
			t.Fatalf("asked %v", asked)
		}
		for _, want := range []fetch.Priority{fetch.Pin, fetch.OnDemand} {
			if p := <-asked[0].Raise; p != want {
				t.Errorf("raised to %v", p)
			}
		}
	})
}

func TestALiarIsReportedAndNotAskedAgain(t *testing.T) {
	play(t, 2, 3, 1000, nil, func(t *testing.T, s *scene) {
		s.sources[0].lie = true
		if _, err := s.GetBlock(t.Context(), s.blocks[0]); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(s.reports) != 1 || s.reports[0].Device != s.sources[0].id || !errs.Is(s.reports[0].Err, errs.Corrupt) {
			t.Errorf("reports %v", s.reports)
		}
		s.connect(1, false)
		time.Sleep(time.Minute)
		if _, err := s.GetBlock(t.Context(), s.blocks[1]); !errs.Is(err, errs.Corrupt) {
			t.Error("only a liar has it:", err)
		}
		asked, _ := s.sources[0].count()
		if _, err := s.GetBlock(t.Context(), s.blocks[1]); err == nil {
			t.Error("a lie was accepted")
		}
		if again, _ := s.sources[0].count(); again != asked {
			t.Error("asked again for the same block")
		}
		if s.cache.has(s.blocks[1]) {
			t.Error("a lie is in the cache")
		}
	})
}

func TestASlowDeviceIsHedged(t *testing.T) {
	play(t, 2, 1, 10, nil, func(t *testing.T, s *scene) {
		s.sources[0].hang = true
		start := time.Now()
		if _, err := s.GetBlock(t.Context(), s.blocks[0]); err != nil || time.Since(start) > 200*time.Millisecond {
			t.Error(err, time.Since(start))
		}
	})
}

func TestNoProgressIsATimeout(t *testing.T) {
	play(t, 1, 1, 10, nil, func(t *testing.T, s *scene) {
		s.sources[0].hang = true
		start := time.Now()
		_, err := s.GetBlock(t.Context(), s.blocks[0])
		if took := time.Since(start); !errs.Is(err, errs.Timeout) || took < 20*time.Second || took > 23*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A kernel asks a second time when its read-ahead has failed: nobody waits twice for that.
func TestNobodyWaitsTwiceInVain(t *testing.T) {
	play(t, 1, 2, 10, nil, func(t *testing.T, s *scene) {
		s.sources[0].hang = true
		get := func(d blocks.Digest) (time.Duration, error) {
			start := time.Now()
			_, err := s.GetBlock(t.Context(), d)
			return time.Since(start), err
		}
		if took, err := get(s.blocks[0]); !errs.Is(err, errs.Timeout) || took < 20*time.Second {
			t.Fatal(err, took)
		}
		if took, err := get(s.blocks[0]); !errs.Is(err, errs.Timeout) || took != 0 {
			t.Errorf("asked again: %v after %v", err, took)
		}
		s.sources[0].set(func() { s.sources[0].hang = false })
		if _, err := get(s.blocks[1]); err != nil {
			t.Error("another block:", err)
		}
		time.Sleep(3 * time.Second)
		if _, err := get(s.blocks[0]); err != nil {
			t.Error("a little later:", err)
		}
	})
	play(t, 1, 1, 10, nil, func(t *testing.T, s *scene) {
		s.connect(0, false)
		if _, err := s.GetBlock(t.Context(), s.blocks[0]); !errs.Is(err, errs.Offline) {
			t.Fatal(err)
		}
		s.connect(0, true)
		synctest.Wait()
		if _, err := s.GetBlock(t.Context(), s.blocks[0]); err != nil {
			t.Error("the device is back:", err)
		}
	})
}

func TestTheLastToLeaveEndsIt(t *testing.T) {
	play(t, 1, 2, 10, nil, func(t *testing.T, s *scene) {
		s.sources[0].hang = true
		ctx1, cancel1 := context.WithTimeout(t.Context(), time.Second)
		defer cancel1()
		ctx2, cancel2 := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel2()
		start := time.Now()
		var wg sync.WaitGroup
		for _, ctx := range []context.Context{ctx1, ctx2} {
			wg.Go(func() {
				if _, err := s.Get(ctx, s.blocks[0], fetch.Pin); !errs.Is(err, errs.Timeout) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, ok := s.Status(s.blocks[0]); !ok || time.Since(start) != 3*time.Second {
			t.Error("given up before its time", time.Since(start))
		}
		time.Sleep(2500 * time.Millisecond) // lingers for whoever comes back
		if st, ok := s.Status(s.blocks[0]); ok {
			t.Errorf("still under way: %+v", st)
		}
	})
}

func TestReadAheadIsTakenFromMemory(t *testing.T) {
	play(t, 1, 40, 1000, nil, func(t *testing.T, s *scene) {
		stop := s.Ahead(s.blocks...)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		for _, d := range s.blocks {
			if _, err := s.GetBlock(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		if s.cache.gets != 0 {
			t.Errorf("%d reads of the cache", s.cache.gets)
		}
		if asked, _ := s.sources[0].count(); asked != 40 {
			t.Errorf("%d requests", asked)
		}
		stop()
		stop()
	})
}

func TestWantIsCancelled(t *testing.T) {
	play(t, 1, 2000, 1000, nil, func(t *testing.T, s *scene) {
		s.sources[0].delay = time.Second
		w := s.Want(fetch.Background, s.blocks...)
		synctest.Wait()
		if why := s.Why(s.blocks[1999]); !strings.HasPrefix(why, "queued (background)") && !strings.HasPrefix(why, "asking") {
			t.Error(why)
		}
		w.Cancel()
		time.Sleep(10 * time.Second)
		asked, _ := s.sources[0].count()
		if _, ok := s.Status(s.blocks[1999]); ok {
			t.Error("still wanted")
		}
		time.Sleep(10 * time.Second)
		if again, _ := s.sources[0].count(); again != asked {
			t.Error("still asking")
		}
	})
}

func TestFetchAllTellsOfEveryBlock(t *testing.T) {
	play(t, 2, 3000, 100, nil, func(t *testing.T, s *scene) {
		told := map[blocks.Digest]error{}
		list := append(slices.Clone(s.blocks), blocks.Digest{1}, blocks.Digest{2})
		err := s.FetchAll(t.Context(), fetch.Pin, slices.Values(list), func(d blocks.Digest, err error) {
			if _, twice := told[d]; twice {
				t.Error("told twice")
			}
			told[d] = err
			if err == nil && !s.cache.has(d) {
				t.Error("not in the cache")
			}
		})
		if err != nil || len(told) != len(list) || !errs.Is(told[blocks.Digest{1}], errs.Offline) || told[s.blocks[5]] != nil {
			t.Error(err, len(told), told[blocks.Digest{1}])
		}
		a, _ := s.sources[0].count()
		b, _ := s.sources[1].count()
		if err := s.FetchAll(t.Context(), fetch.Pin, slices.Values(s.blocks), func(blocks.Digest, error) {}); err != nil {
			t.Error(err)
		}
		a2, _ := s.sources[0].count()
		if b2, _ := s.sources[1].count(); a2 != a || b2 != b {
			t.Error("present blocks were fetched again")
		}
	})
}

func TestFetchAllWithoutSpaceOrTime(t *testing.T) {
	play(t, 1, 10, 100, nil, func(t *testing.T, s *scene) {
		s.cache.noSpace = true
		_ = s.FetchAll(t.Context(), fetch.Pin, slices.Values(s.blocks), func(d blocks.Digest, err error) {
			if !errs.Is(err, errs.NoSpace) {
				t.Error(err)
			}
		})
		if _, err := s.GetBlock(t.Context(), s.blocks[0]); err != nil {
			t.Error("a full cache must not stop a reader:", err)
		}
		s.sources[0].set(func() { s.sources[0].hang = true })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.FetchAll(ctx, fetch.Pin, slices.Values(s.blocks), func(blocks.Digest, error) {}); !errs.Is(err, errs.Timeout) {
			t.Error(err)
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	play(t, 1, 10, 100, nil, func(t *testing.T, s *scene) {
		s.sources[0].hang = true
		s.Want(fetch.ReadAhead, s.blocks[:5]...)
		go func() { time.Sleep(time.Second); _ = s.Close() }()
		if _, err := s.GetBlock(t.Context(), s.blocks[9]); !errs.Is(err, errs.Closed) {
			t.Error(err)
		}
		if _, err := s.GetBlock(t.Context(), s.blocks[9]); !errs.Is(err, errs.Closed) {
			t.Error(err)
		}
	})
}

// Blocks that lie on different devices are found, and after a few misses the right one is asked first.
func TestTheFetcherLearnsWhoHasWhat(t *testing.T) {
	play(t, 3, 200, 1000, nil, func(t *testing.T, s *scene) {
		s.sources[0].m, s.sources[1].m = nil, nil // only the farthest has them
		w := s.Want(fetch.ReadAhead, s.blocks[:100]...)
		time.Sleep(time.Second)
		for _, d := range s.blocks[100:] {
			if _, err := s.GetBlock(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		w.Cancel()
		a, _ := s.sources[0].count()
		b, _ := s.sources[1].count()
		if a+b > 210 {
			t.Errorf("%d and %d questions in vain for 200 blocks", a, b)
		}
		s.sources[0].set(func() { s.sources[0].asked = nil })
		s.sources[1].set(func() { s.sources[1].asked = nil })
		if _, err := s.GetBlock(t.Context(), blocks.Digest{7}); err == nil {
			t.Error("found what nobody has")
		}
	})
}
