//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// peerWork is something that is done through every peer that can; it yields a value for each of its rows.
type peerWork struct {
	name  string
	rows  []peerRow
	needs func(p *peering) (lacks string, err error)             // makes what it needs; it is left out where the machine lacks that
	take  func(p *peering, column, round int) ([]float64, error) // no values: this one does not do that
}

// peerRow is a line of the table; met is asked with the medians of all rows of the work.
type peerRow struct {
	work, unit, want string
	met              func(m [][]float64) bool
}

// readLimit is how long many small files are read at most: who has not come to the end by then is taken
// at the speed until there.
const readLimit = 6 * time.Second

// firstBytes is how many places of the large file are read, each after an open of its own.
const firstBytes = 200

var peerWorks = []peerWork{
	{"cold sequential", []peerRow{
		{"cold sequential", "MB/s", "0.7 of the limit and 1.5 × the best other mount", func(m [][]float64) bool {
			v := m[0]
			return v[viaShelf] >= 0.7*v[bareTLS] && v[viaShelf] >= 1.5*max(v[viaSSHFS], v[viaRclone], v[viaDavfs2])
		}},
		{work: "  CPU of the reading end", unit: "s/GB"},
		{work: "  CPU of the serving end", unit: "s/GB"},
		{work: "  the limit that also verifies, opens, keeps and hands on", unit: "MB/s"},
	}, nil, coldSequential},
	{"first byte", []peerRow{
		{"first byte at a random offset, cold, median", "ms", "sshfs's", func(m [][]float64) bool { return m[0][viaShelf] <= m[0][viaSSHFS] }},
		{"first byte at a random offset, cold, p99", "ms", "5 ms", func(m [][]float64) bool { return m[1][viaShelf] <= 5 }},
		{"  while a pin runs, median", "ms", "twice sshfs's without", func(m [][]float64) bool { return m[2][viaShelf] <= 2*m[0][viaSSHFS] }},
		{"  while a pin runs, p99", "ms", "10 ms", func(m [][]float64) bool { return m[3][viaShelf] <= 10 }},
	}, nil, coldFirstByte},
	{"small files", []peerRow{
		{"small files, cold, in order", "/s", "3,000", func(m [][]float64) bool { return m[0][viaShelf] >= 3000 }},
	}, nil, coldSmall},
	{"tree", []peerRow{
		{"a tree until all is here", "MB/s", "0.7 of the limit", func(m [][]float64) bool { return m[0][viaShelf] >= 0.7*m[0][bareTLS] }},
		{"  the time it takes", "s", "Syncthing's", func(m [][]float64) bool { return m[1][viaShelf] <= m[1][viaSyncthing] }},
	}, nil, wholeTree},
	{"with 20 ms of round trip", []peerRow{
		{"cold sequential with 20 ms of round trip", "MB/s", "0.9 of the line's 50 MB/s", func(m [][]float64) bool { return m[0][viaShelf] >= 0.9*farRate/1e6 }},
		{"first byte with 20 ms of round trip, median", "ms", "2 round trips", func(m [][]float64) bool { return m[1][viaShelf] <= 2*m[1][bareTLS] }},
		{work: "first byte with 20 ms of round trip, p99", unit: "ms"},
	}, (*peering).needFar, farBoth},
}

func coldSequential(p *peering, column, _ int) ([]float64, error) {
	mb := float64(len(p.data)) / 1e6
	if column == bareTLS {
		v, err := tlsStream(loopbackCarrier{}, len(p.data))
		if err != nil {
			return nil, err
		}
		all, err := sealedStream(loopbackCarrier{}, filepath.Dir(p.source), len(p.data))
		return []float64{v, math.NaN(), math.NaN(), all}, err
	}
	peer := p.mounts[column]
	if peer == nil {
		return nil, nil
	}
	if err := p.check(peer.dir, bigName, peer.forget); err != nil {
		return nil, err
	}
	if err := peer.forget(); err != nil {
		return nil, err
	}
	reads, serves := peer.cpu()
	v, err := rate(mb, func() error { return readAll(filepath.Join(peer.dir, bigName)) })
	readsNow, servesNow := peer.cpu()
	return []float64{v, (readsNow - reads) / mb * 1000, (servesNow - serves) / mb * 1000, math.NaN()}, err
}

func coldFirstByte(p *peering, column, round int) ([]float64, error) {
	peer := p.mounts[column]
	if peer == nil {
		return nil, nil
	}
	n := firstBytes
	if peer.whole {
		n = 1
	}
	if err := peer.forget(); err != nil {
		return nil, err
	}
	ms, err := openAndRead(filepath.Join(peer.dir, bigName), p.data, round, n, func() bool { return false })
	if err != nil {
		return nil, err
	}
	v := []float64{median(ms), percentile(ms, 0.99), math.NaN(), math.NaN()}
	if column != viaShelf {
		return v, nil
	}
	if err := peer.forget(); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		_, err := p.b.shelf("pin", filepath.Join(peer.dir, treeName))
		done <- err
	}()
	for len(done) == 0 { // until something of it has come
		here, err := p.b.localBytes(filepath.Join(peer.dir, treeName))
		if err != nil {
			return nil, errors.Join(err, <-done)
		}
		if here > 0 {
			break
		}
	}
	ms, err = openAndRead(filepath.Join(peer.dir, bigName), p.data, round, firstBytes, func() bool { return len(done) > 0 })
	if err = errors.Join(err, <-done); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "  %d first bytes while the pin ran\n", len(ms))
	if len(ms) > 0 {
		v[2], v[3] = median(ms), percentile(ms, 0.99)
	}
	return v, nil
}

// openAndRead opens a large file that holds data, reads a little of it at a random place and closes it, n times, or as
// often as there are places a MiB apart, or until stop; milliseconds each. The bytes are compared.
func openAndRead(path string, data []byte, round, n int, stop func() bool) (ms []float64, err error) {
	rng := rand.New(rand.NewPCG(1, uint64(round)))
	buf := make([]byte, 4096)
	places := min(firstBytes, len(data)>>20)
	apart := int64(len(data) / places)
	for _, i := range rng.Perm(places)[:min(n, places)] {
		if stop() {
			break
		}
		off := int64(i)*apart + rng.Int64N(apart-int64(len(buf)))
		sec, err := seconds(func() error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			_, err = f.ReadAt(buf, off)
			return errors.Join(err, f.Close())
		})
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(buf, data[off:off+int64(len(buf))]) {
			return nil, fmt.Errorf("%s: not the bytes of the source at %d", path, off)
		}
		ms = append(ms, sec*1000)
	}
	return ms, nil
}

// coldSmall reads one folder after the other, each in the order of its names, and compares what it reads.
func coldSmall(p *peering, column, _ int) ([]float64, error) {
	peer := p.mounts[column]
	if peer == nil {
		return nil, nil
	}
	if err := peer.forget(); err != nil {
		return nil, err
	}
	read, listed := 0, ""
	began := time.Now()
	for _, f := range p.small {
		if time.Since(began) > readLimit {
			break
		}
		dir := filepath.Join(peer.dir, f.dir)
		if dir != listed {
			if _, err := os.ReadDir(dir); err != nil {
				return nil, err
			}
			listed = dir
		}
		data, err := os.ReadFile(filepath.Join(dir, f.name))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(data, f.data) {
			return nil, fmt.Errorf("%s: not the bytes of the source", filepath.Join(dir, f.name))
		}
		read++
	}
	perSecond := float64(read) / time.Since(began).Seconds()
	if read < len(p.small) {
		fmt.Fprintf(os.Stderr, "  %s: %d of %d files in %s\n", peerNames[column], read, len(p.small), readLimit)
	}
	return []float64{perSecond}, nil
}

// wholeTree is Shelf's pin beside Syncthing's folder. Both know each other's names before: Syncthing, whose
// index comes when the folder is resumed, has some hundred of them to read.
func wholeTree(p *peering, column, _ int) ([]float64, error) {
	mb := float64(len(p.data)) / 1e6
	switch column {
	case bareTLS:
		v, err := tlsStream(loopbackCarrier{}, len(p.data))
		return []float64{v, math.NaN()}, err
	case viaSyncthing:
		if err := p.syncthing.anew(); err != nil {
			return nil, err
		}
		sec, err := seconds(p.syncthing.fetch)
		if err != nil {
			return nil, err
		}
		return []float64{mb / sec, sec}, p.check(filepath.Dir(p.syncthing.to.Folder), treeName, nil)
	case viaShelf:
		if err := p.forget(); err != nil {
			return nil, err
		}
		tree := filepath.Join(p.b.mnt, treeName)
		sec, err := seconds(func() error { _, err := p.b.shelf("pin", tree); return err })
		if err != nil {
			return nil, err
		}
		if here, err := p.b.localBytes(tree); err != nil || here != int64(len(p.data)) {
			return nil, errors.Join(err, fmt.Errorf("%d bytes of %d are here after the pin", here, len(p.data)))
		}
		return []float64{mb / sec, sec}, p.check(p.b.mnt, treeName, nil)
	}
	return nil, nil
}

// localBytes is how much of a file or folder is on the device.
func (h home) localBytes(path string) (int64, error) {
	var st struct {
		LocalBytes int64 `json:"local_bytes"`
	}
	out, err := h.command(context.Background(), "status", path, "--json").Output()
	if err != nil {
		return 0, fmt.Errorf("shelf status %s: %w", path, err)
	}
	return st.LocalBytes, json.Unmarshal(out, &st)
}
