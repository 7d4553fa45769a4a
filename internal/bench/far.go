//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"
)

// far is two more devices of Shelf, an account of their own, with a link between them.
type far struct {
	link *link
	a, b home
	data []byte // of the large file
}

const (
	farRate  = 50e6                   // bytes/s: 400 Mbit/s
	farDelay = 10 * time.Millisecond  // each way
	farQueue = 100 * time.Millisecond // before the line, as a router has it
	farMiB   = 256                    // of a larger file: a minute is not needed to see a speed
)

// needFar makes the two devices, unless this machine cannot make the link.
func (p *peering) needFar() (lacks string, err error) {
	l, err := newLink(p.ends, farRate, farDelay, farQueue)
	if err != nil {
		return err.Error(), nil
	}
	base := filepath.Join(filepath.Dir(p.source), "far")
	f := &far{
		link: l,
		a:    home{bin: p.bin, home: filepath.Join(base, "a"), mnt: filepath.Join(base, "mnt-a"), net: l.ends[0].path()},
		b:    home{bin: p.bin, home: filepath.Join(base, "b"), mnt: filepath.Join(base, "mnt-b"), net: l.ends[1].path()},
		data: p.data[:min(len(p.data), farMiB<<20)],
	}
	if err := p.ends.begin(func() error { return p.pair(f.a, f.b) }, func() { down(f.a, f.b) }); err != nil {
		return "", err
	}
	if err := writeSynced(filepath.Join(f.a.mnt, bigName), f.data); err != nil {
		return "", err
	}
	p.far = f
	return "", sees(filepath.Join(f.b.mnt, bigName), int64(len(f.data)))
}

// farBoth reads the large file cold, in order and at random places. What it is compared with is the bare
// line: a stream, and one byte asked for and brought.
func farBoth(p *peering, column, round int) ([]float64, error) {
	f := p.far
	switch column {
	case bareTLS:
		stream, err := tlsStream(f.link.over(), len(f.data))
		if err != nil {
			return nil, err
		}
		ms, err := tlsRoundTrip(f.link.over(), 20, 1)
		if err != nil {
			return nil, err
		}
		return []float64{stream, median(ms), math.NaN()}, nil
	case viaShelf:
		path := filepath.Join(f.b.mnt, bigName)
		if err := p.forgetOn(f.b, bigName); err != nil {
			return nil, err
		}
		stream, err := rate(float64(len(f.data))/1e6, func() error { return readAll(path) })
		if err != nil {
			return nil, err
		}
		if err := holdsAll(path, f.data); err != nil {
			return nil, err
		}
		if err := p.forgetOn(f.b, bigName); err != nil {
			return nil, err
		}
		ms, err := openAndRead(path, f.data, round, firstBytes, func() bool { return false })
		if err != nil {
			return nil, err
		}
		return []float64{stream, median(ms), percentile(ms, 0.99)}, nil
	}
	return nil, nil
}

// holdsAll compares what has come with what is to be there.
func holdsAll(path string, data []byte) error {
	got, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(got, data) {
		err = fmt.Errorf("%s: not the bytes of the source", path)
	}
	return err
}
