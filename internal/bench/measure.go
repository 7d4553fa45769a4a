//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

type measurement struct {
	name string
	run  func(*stage) ([]row, error)
}

var measurements = []measurement{
	{"limits", limits},
	{"write", write},
	{"sequential", sequential},
	{"first byte", firstByte},
	{"busy", firstByteBusy},
	{"cached", cached},
	{"kept", kept},
	{"synced", synced},
	{"create", create},
	{"small", small},
	{"stat", statFiles},
	{"list", list},
	{"untar", untar},
	{"propagation", propagation},
	{"move", move},
	{"idle", idle},
	{"memory", memory},
}

func limits(s *stage) ([]row, error) {
	gcm, err := gcmOpen(1 << 30)
	if err != nil {
		return nil, err
	}
	sha, err := sha256Rate(1 << 30)
	return []row{
		{work: "AES-256-GCM open, one core", unit: "MB/s", ours: gcm, note: "a limit itself"},
		{work: "SHA-256, one core", unit: "MB/s", ours: sha, note: "a limit itself"},
		{work: "copy in memory, one core", unit: "MB/s", ours: copyRate(1 << 30), note: "a limit itself"},
	}, err
}

// writeSynced writes data and fsyncs it.
func writeSynced(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for p := data; len(p) > 0; p = p[min(len(p), 1<<20):] {
		if _, err := f.Write(p[:min(len(p), 1<<20)]); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

func readAll(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return err
}

func (s *stage) big(i int) string { return fmt.Sprintf("big-%d", i) }

// vary makes the data of each round different, so that nothing is deduplicated.
func (s *stage) vary(round int) []byte {
	for off := 0; off < len(s.data); off += 4096 {
		s.data[off] = byte(round + off>>12)
		s.data[off+1]++
	}
	return s.data
}

func write(s *stage) ([]row, error) {
	mb := float64(len(s.data)) / 1e6
	cpu0, _ := s.a.usage()
	ours, limit, err := paired(s.rounds,
		func(i int) (float64, error) {
			d := s.vary(i)
			return rate(mb, func() error { return writeSynced(filepath.Join(s.a.mnt, s.big(i)), d) })
		},
		func(i int) (float64, error) {
			p := filepath.Join(s.plain, "big")
			defer os.Remove(p)
			return rate(mb, func() error { return writeSynced(p, s.data) })
		})
	cpu1, _ := s.a.usage()
	note := fmt.Sprintf("%.1f CPU s/GB in the daemon", (cpu1-cpu0)/(mb*float64(s.rounds)/1000))
	return []row{{work: fmt.Sprintf("write %d MiB with fsync", s.mib), unit: "MB/s", ours: ours, limit: limit, what: "the local disk", note: note}}, err
}

func sequential(s *stage) ([]row, error) {
	mb := float64(len(s.data)) / 1e6
	for i := range s.rounds {
		if _, err := os.Stat(filepath.Join(s.a.mnt, s.big(i))); err != nil {
			if err := writeSynced(filepath.Join(s.a.mnt, s.big(i)), s.vary(i)); err != nil {
				return nil, err
			}
		}
		if err := sees(filepath.Join(s.b.mnt, s.big(i)), int64(len(s.data))); err != nil {
			return nil, err
		}
	}
	cpuA, _ := s.a.usage()
	cpuB, _ := s.b.usage()
	cold, bare, err := paired(s.rounds,
		func(i int) (float64, error) {
			dropCaches()
			return rate(mb, func() error { return readAll(filepath.Join(s.b.mnt, s.big(i))) })
		},
		func(int) (float64, error) { return tlsStream(loopbackCarrier{}, len(s.data)) })
	if err != nil {
		return nil, err
	}
	cpuA1, _ := s.a.usage()
	cpuB1, _ := s.b.usage()
	if err := s.profile(time.Duration(mb / cold * float64(time.Second))); err != nil {
		return nil, err
	}
	gb := mb * float64(s.rounds) / 1000
	note := fmt.Sprintf("CPU s/GB: %.1f reading, %.1f serving", (cpuB1-cpuB)/gb, (cpuA1-cpuA)/gb)
	again, disk, err := paired(s.rounds,
		func(i int) (float64, error) {
			dropCaches()
			return rate(mb, func() error { return readAll(filepath.Join(s.b.mnt, s.big(i))) })
		},
		func(int) (float64, error) {
			p := filepath.Join(s.plain, "big")
			if _, err := os.Stat(p); err != nil {
				if err := writeSynced(p, s.data); err != nil {
					return 0, err
				}
			}
			dropCaches()
			return rate(mb, func() error { return readAll(p) })
		})
	return []row{
		{work: fmt.Sprintf("cold sequential %d MiB from the other device", s.mib), unit: "MB/s", ours: cold, limit: bare, what: "bare TLS 1.3 over loopback", note: note},
		{work: "the same again, from the cache on disk", unit: "MB/s", ours: again, limit: disk, what: "the local disk, caches dropped"},
	}, err
}

// onlyOnA writes a large file on a, and returns when its name is on b.
func (s *stage) onlyOnA(name string, variant int) error {
	if err := writeSynced(filepath.Join(s.a.mnt, name), s.vary(variant)); err != nil {
		return err
	}
	return sees(filepath.Join(s.b.mnt, name), int64(len(s.data)))
}

// randomReads reads a few bytes at up to n random places of a large file on b, that holds s.data, until stop;
// milliseconds each.
func (s *stage) randomReads(name string, n int, stop func() bool) (ms []float64, err error) {
	f, err := os.Open(filepath.Join(s.b.mnt, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	buf := make([]byte, 4096)
	step := int64(4 << 20)
	for _, i := range rng.Perm(min(n, int(int64(len(s.data))/step)-1)) {
		if stop() {
			break
		}
		off := int64(i)*step + rng.Int64N(step/4)
		sec, err := seconds(func() error { _, err := f.ReadAt(buf, off); return err })
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(buf, s.data[off:off+4096]) {
			return nil, fmt.Errorf("wrong bytes at %d", off)
		}
		ms = append(ms, sec*1000)
	}
	return ms, nil
}

// firstByteBusy is the first byte while a pin brings another large file at full speed.
func firstByteBusy(s *stage) ([]row, error) {
	if err := s.onlyOnA("pinned", 97); err != nil {
		return nil, err
	}
	if err := s.onlyOnA("first-byte-busy", 98); err != nil {
		return nil, err
	}
	var pinErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, pinErr = s.b.shelf("pin", filepath.Join(s.b.mnt, "pinned"))
	}()
	time.Sleep(100 * time.Millisecond)
	ours, err := s.randomReads("first-byte-busy", 100, func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	<-done
	if err = errors.Join(err, pinErr); err != nil || len(ours) == 0 {
		return nil, err // nothing to tell when the pin was that quick
	}
	return []row{{work: "the same while a pin runs, median", unit: "ms", ours: median(ours), note: fmt.Sprintf("p99 %s ms of %d", number(percentile(ours, 0.99)), len(ours))}}, nil
}

func firstByte(s *stage) ([]row, error) {
	if err := s.onlyOnA("first-byte", 99); err != nil {
		return nil, err
	}
	ours, err := s.randomReads("first-byte", 100, func() bool { return false })
	if err != nil {
		return nil, err
	}
	bare, err := tlsRoundTrip(loopbackCarrier{}, len(ours), blockSize)
	return []row{
		{work: "first byte, cold, random offset, median", unit: "ms", ours: median(ours), limit: median(bare), what: "one 256 KiB block over bare TLS"},
		{work: "first byte, cold, random offset, p99", unit: "ms", ours: percentile(ours, 0.99), limit: percentile(bare, 0.99), what: "one 256 KiB block over bare TLS"},
	}, err
}

// cached is 4 KiB random reads from the cache on disk with 1 and 4 threads.
func cached(s *stage) ([]row, error) {
	name := filepath.Join(s.a.mnt, "random")
	plain := filepath.Join(s.plain, "random")
	data := s.data[:min(len(s.data), 256<<20)]
	for _, p := range []string{name, plain} {
		if err := writeSynced(p, data); err != nil {
			return nil, err
		}
	}
	iops := func(path string, threads int) (float64, error) {
		dropCaches()
		f, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		const each = 1500
		return rate(float64(each*threads), func() error {
			var wg sync.WaitGroup
			fail := make([]error, threads)
			for w := range threads {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(w)))
					buf := make([]byte, 4096)
					for range each {
						if _, err := f.ReadAt(buf, rng.Int64N(int64(len(data))/4096)*4096); err != nil {
							fail[w] = err
							return
						}
					}
				})
			}
			wg.Wait()
			for _, err := range fail {
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	var rows []row
	for _, threads := range []int{1, 4} {
		ours, limit, err := paired(s.rounds,
			func(int) (float64, error) { return iops(name, threads) },
			func(int) (float64, error) { return iops(plain, threads) })
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{work: fmt.Sprintf("4 KiB random from the cache, %d threads", threads), unit: "IOPS", ours: ours, limit: limit, what: "the local disk, caches dropped"})
	}
	return rows, nil
}

func makeFiles(dir string, round, n int) error {
	buf := make([]byte, 4096)
	rng := rand.NewChaCha8([32]byte{byte(round)})
	for i := range n {
		rng.Read(buf)
		p := fileName(dir, round, i)
		if i < 20 {
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(p, buf, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func create(s *stage) ([]row, error) {
	ours, limit, err := paired(s.rounds,
		func(i int) (float64, error) {
			return rate(float64(s.files), func() error { return makeFiles(s.a.mnt, i, s.files) })
		},
		func(i int) (float64, error) {
			return rate(float64(s.files), func() error { return makeFiles(s.plain, i, s.files) })
		})
	return []row{{work: "create 4 KiB files", unit: "/s", ours: ours, limit: limit, what: "the local disk"}}, err
}

// small reads files on b whose bytes are only on a.
func small(s *stage) ([]row, error) {
	if _, err := os.Stat(fileName(s.a.mnt, 0, 0)); err != nil {
		if _, err := create(s); err != nil {
			return nil, err
		}
	}
	if err := sees(fileName(s.b.mnt, s.rounds-1, s.files-1), 4096); err != nil {
		return nil, err
	}
	read := func(dir string, round int) error {
		for i := range s.files {
			if _, err := os.ReadFile(fileName(dir, round, i)); err != nil {
				return err
			}
		}
		return nil
	}
	ours, limit, err := paired(s.rounds,
		func(i int) (float64, error) {
			dropCaches()
			return rate(float64(s.files), func() error { return read(s.b.mnt, i) })
		},
		func(i int) (float64, error) {
			dropCaches()
			return rate(float64(s.files), func() error { return read(s.plain, i) })
		})
	return []row{{work: "read small files, cold, from the other device", unit: "/s", ours: ours, limit: limit, what: "the local disk, caches dropped"}}, err
}

func statFiles(s *stage) ([]row, error) {
	if _, err := os.Stat(fileName(s.a.mnt, 0, 0)); err != nil {
		if _, err := create(s); err != nil {
			return nil, err
		}
	}
	stat := func(dir string, round int) error {
		for i := range s.files {
			if _, err := os.Lstat(fileName(dir, round, i)); err != nil {
				return err
			}
		}
		return nil
	}
	ours, limit, err := paired(s.rounds,
		func(i int) (float64, error) {
			dropCaches()
			return rate(float64(s.files), func() error { return stat(s.b.mnt, i) })
		},
		func(i int) (float64, error) {
			dropCaches()
			return rate(float64(s.files), func() error { return stat(s.plain, i) })
		})
	return []row{{work: "stat, cold", unit: "/s", ours: ours, limit: limit, what: "the local disk, caches dropped"}}, err
}

// untar unpacks this project's module cache of one dependency: a source tree of real files.
func untar(s *stage) ([]row, error) {
	tarball := filepath.Join(s.plain, "src.tar")
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/libp2p/go-libp2p").Output()
	if err != nil {
		return nil, err
	}
	if out, err := exec.Command("tar", "-C", string(bytes.TrimSpace(dir)), "-cf", tarball, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	unpack := func(dir string, i int) (float64, error) {
		dst := filepath.Join(dir, fmt.Sprintf("untar-%d", i))
		if err := os.Mkdir(dst, 0o755); err != nil {
			return 0, err
		}
		return seconds(func() error { return exec.Command("tar", "-C", dst, "-xf", tarball).Run() })
	}
	ours, limit, err := paired(s.rounds,
		func(i int) (float64, error) { return unpack(s.a.mnt, i) },
		func(i int) (float64, error) { return unpack(s.plain, i) })
	return []row{{work: "untar a source tree (go-libp2p)", unit: "s", ours: ours, limit: limit, what: "the local disk"}}, err
}

// synced is a small file made durable, as an editor or a mail program does it.
func synced(s *stage) ([]row, error) {
	const each = 50
	save := func(dir string, round int) (float64, error) {
		sec, err := seconds(func() error {
			for i := range each {
				if err := writeSynced(filepath.Join(dir, fmt.Sprintf("synced-%d-%d", round, i)), s.data[i<<12:(i+1)<<12]); err != nil {
					return err
				}
			}
			return nil
		})
		return sec * 1000 / each, err
	}
	ours, limit, err := paired(s.rounds,
		func(i int) (float64, error) { return save(s.a.mnt, i) },
		func(i int) (float64, error) { return save(s.plain, i) })
	return []row{{work: "write a 4 KiB file with fsync", unit: "ms", ours: ours, limit: limit, what: "the local disk"}}, err
}

// idle is what two connected daemons use when nobody wants anything of them.
func idle(s *stage) ([]row, error) {
	const rest = 10 * time.Second
	a, err := s.a.status()
	if err != nil {
		return nil, err
	}
	b, err := s.b.status()
	if err != nil {
		return nil, err
	}
	time.Sleep(rest / 2) // what was left to do
	cpu := func() float64 {
		a, _ := usageOf(a.Daemon.PID)
		b, _ := usageOf(b.Daemon.PID)
		return a + b
	}
	before := cpu()
	time.Sleep(rest)
	used := (cpu() - before) / rest.Seconds()
	return []row{{work: "CPU while idle, a and b together", unit: "%", ours: used * 100, note: "of one core"}}, nil
}

func memory(s *stage) ([]row, error) {
	_, a := s.a.usage()
	_, b := s.b.usage()
	return []row{{work: "resident memory after all this, a and b together", unit: "MiB", ours: a + b}}, nil
}
