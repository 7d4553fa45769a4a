package cache

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/shelffs/shelf/blocks"
)

// access is one read of a block of size sealed bytes.
type access struct{ id, size uint32 }

func (a access) digest() (d blocks.Digest) {
	h := uint64(a.id) * 0x9e3779b97f4a7c15
	for i := range 4 {
		binary.LittleEndian.PutUint64(d[8*i:], h)
		h = (h ^ h>>29) * 0xbf58476d1ce4e5b9
	}
	return d
}

func (a access) charge() int64 {
	return rowFor(blocks.Sealed{Bytes: zeros[:a.size]}).charge()
}

// trace is a piece of work, for a cache of limit bytes.
type trace struct {
	name  string
	limit int64
	reads []access
	ahead float64 // points by which the store must be better than LRU, where much is read only once
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// maker makes traces. Ids of different things do not meet: each takes its own range.
type maker struct {
	rng  *rand.Rand
	next uint32
	out  []access
}

func newMaker(seed uint64) *maker { return &maker{rng: rand.New(rand.NewPCG(seed, 7))} }

// set makes n blocks of sizes between least and most, as many small as large by their logarithms.
func (m *maker) set(n int, least, most float64) []access {
	bs := make([]access, n)
	for i := range bs {
		m.next++
		bs[i] = access{m.next, uint32(least * math.Pow(most/least, m.rng.Float64()))}
	}
	return bs
}

func (m *maker) read(bs ...access) { m.out = append(m.out, bs...) }

// favouring returns a source of blocks of which the k-th is read about 1/k^s times as often as the first.
func (m *maker) favouring(bs []access, s float64) func() access {
	sum, upto := 0.0, make([]float64, len(bs))
	for k := range bs {
		sum += math.Pow(float64(k+1), -s)
		upto[k] = sum
	}
	return func() access {
		at := m.rng.Float64() * sum
		lo, hi := 0, len(upto)-1
		for lo < hi {
			if mid := (lo + hi) / 2; upto[mid] < at {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		return bs[lo]
	}
}

func (m *maker) some(n int, from func() access) {
	for range n {
		m.read(from())
	}
}

// synthetic are the kinds of work that a device's cache is known to meet.
func synthetic() []trace {
	return []trace{
		{name: "zipf", limit: 512 * mib, reads: zipf(0)},
		{name: "zipf and a scan", limit: 512 * mib, reads: zipf(2000), ahead: 4},
		{name: "loop", limit: 512 * mib, reads: loop()},
		{name: "shifting work", limit: 512 * mib, reads: shifting()},
		{name: "films", limit: 1024 * mib, reads: films(), ahead: 3},
		{name: "photos", limit: 512 * mib, reads: photos(), ahead: 0.5},
		{name: "builds", limit: 96 * mib, reads: builds()},
	}
}

// zipf is daily use of very many files, in the middle of which scan blocks of 1 MiB are read once.
func zipf(scan int) []access {
	m := newMaker(1)
	use := m.favouring(m.set(12000, 4*kib, mib), 0.9)
	m.some(15000, use)
	for _, b := range m.set(scan, mib, mib) {
		m.read(b, use())
	}
	m.some(15000, use)
	return m.out
}

// loop reads a tenth more than the cache takes, again and again.
func loop() []access {
	m := newMaker(2)
	bs := m.set(2250, 256*kib, 256*kib)
	for range 8 {
		m.read(bs...)
	}
	return m.out
}

// shifting is work on a set that fits, a quarter of which is replaced at times.
func shifting() []access {
	m := newMaker(3)
	set := m.set(2000, 4*kib, mib)
	for range 8 {
		m.some(3000, m.favouring(set, 0.3))
		set = append(set[500:], m.set(500, 4*kib, mib)...)
	}
	return m.out
}

// films are six films of 700 MiB in the evenings of days of work; the last is seen twice.
func films() []access {
	m := newMaker(4)
	work := m.favouring(m.set(4000, 4*kib, mib), 0.7)
	var film []access
	for range 6 {
		m.some(1500, work)
		film = m.set(700, mib, mib)
		for _, b := range film {
			m.read(b, work())
		}
	}
	m.read(film...)
	m.some(1500, work)
	return m.out
}

// photos is a folder of 1,500 pictures: all thumbnails, then one picture after the other with
// looks back, then the album of the best again and again, beside some other work.
func photos() []access {
	m := newMaker(5)
	work := m.favouring(m.set(2000, 4*kib, 512*kib), 0.8)
	thumbs := m.set(1500, 8*kib, 32*kib)
	pics := make([][]access, len(thumbs))
	for i := range pics {
		pics[i] = m.set(2, 512*kib, mib)
	}
	m.read(thumbs...)
	for i := range pics {
		m.read(pics[i]...)
		m.read(work())
		if i > 0 && m.rng.IntN(5) == 0 {
			m.read(pics[i-1]...)
		}
	}
	for range 4 {
		m.read(thumbs...)
		for i := 0; i < len(pics); i += 10 {
			m.read(pics[i]...)
			m.some(3, work)
		}
	}
	return m.out
}

// builds are 20 builds of a tree: all sources, headers with each, objects written once and read once to
// be linked; between two builds a twentieth of the sources changes.
func builds() []access {
	m := newMaker(6)
	sources, headers := m.set(1500, 4*kib, 128*kib), m.set(200, 4*kib, 64*kib)
	include := m.favouring(headers, 0.8)
	for range 12 {
		objects := m.set(len(sources)/10, 16*kib, 256*kib)
		for i, s := range sources {
			m.read(s)
			m.some(2, include)
			if i%10 == 0 {
				m.read(objects[i/10])
			}
		}
		m.read(objects...)
		for range len(sources) / 20 {
			sources[m.rng.IntN(len(sources))] = m.set(1, 4*kib, 128*kib)[0]
		}
	}
	return m.out
}

// loadTrace reads what a recorder wrote: for each access the distance of its id from the newest one
// (0: a new block, followed by its size), as uvarints, gzipped.
func loadTrace(t testing.TB, file string) (out []access) {
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	r := bufio.NewReader(z)
	var sizes []uint32
	for {
		back, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return out
		}
		must(t, err)
		if back == 0 {
			size, err := binary.ReadUvarint(r)
			must(t, err)
			sizes = append(sizes, uint32(size))
			back = 1
		}
		id := len(sizes) - int(back)
		out = append(out, access{uint32(id + 1), sizes[id]}) // no block has the digest zero
	}
}
