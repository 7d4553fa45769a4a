//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// The columns of the table of peers. The limit is bare TLS 1.3 over loopback.
const (
	bareTLS = iota
	viaSSHFS
	viaRclone
	viaDavfs2
	viaSyncthing
	viaShelf
	peerColumns
)

var peerNames = [peerColumns]string{"limit", "sshfs", "rclone", "davfs2", "Syncthing", "Shelf"}

// A peer shows in a folder what lies with another process of this machine.
type peer struct {
	dir    string
	forget func() error                   // afterwards nothing of it is here, and the kernel has no cache of it
	cpu    func() (reads, serves float64) // CPU seconds that the two ends have used
	whole  bool                           // it brings a file whole when that is opened
}

// A peering is everything that takes part.
type peering struct {
	*stage
	source    string // the folder that all have, but Shelf, to which it was copied
	mounts    [peerColumns]*peer
	syncthing *syncthing
	far       *far
	small     []smallFile
	checked   map[string]bool // what has been compared with the source
}

// peers reads what is only on the other end: through sshfs, rclone and davfs2 (of the same WebDAV server),
// and through Shelf, and brings a tree here with Syncthing and with a pin, in turn, and prints one table.
// Shelf, sshfs and Syncthing encrypt what they carry; WebDAV is plain HTTP here, as in most local networks.
func peers(s *stage, only string) error {
	which, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	p := &peering{stage: s, source: filepath.Join(filepath.Dir(s.plain), "source"), checked: map[string]bool{}}
	fmt.Fprintln(os.Stderr, "setting up sshfs, rclone, davfs2, Syncthing and Shelf …")
	if err := p.setUp(); err != nil {
		return err
	}
	var lines []against
	var leftOut []string
	for _, w := range peerWorks {
		if !which.MatchString(w.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s …\n", w.name)
		if w.needs != nil {
			lacks, err := w.needs(p)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if lacks != "" {
				leftOut = append(leftOut, fmt.Sprintf("left out: %s: %s", w.name, lacks))
				continue
			}
		}
		sec, err := seconds(func() error {
			medians, err := inTurn(s.rounds, peerColumns, len(w.rows), func(column, round int) ([]float64, error) {
				v, err := w.take(p, column, round)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", peerNames[column], err)
				}
				return v, nil
			})
			if err != nil {
				return err
			}
			for i, r := range w.rows {
				l := against{work: r.work, unit: r.unit, values: medians[i], want: r.want}
				if r.want != "" {
					l.met = r.met(medians)
				}
				lines = append(lines, l)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Fprintf(os.Stderr, "  %.1f s\n", sec)
	}
	fmt.Printf("\n%d rounds in turn, medians; file and tree %d MiB each, %d small files; the limit is bare TLS 1.3\n\n", s.rounds, s.mib, s.files)
	printAgainst(peerNames[:], lines)
	for _, l := range leftOut {
		fmt.Println(l)
	}
	return nil
}

const (
	bigName   = "big"
	smallName = "r0" // as makeFiles calls it
	treeName  = "tree"
)

// setUp makes the source, and has every peer show it.
func (p *peering) setUp() error {
	if err := p.fillSource(); err != nil {
		return err
	}
	base := filepath.Dir(p.source)
	var err error
	if p.mounts[viaSSHFS], err = sshfs(p.ends, filepath.Join(base, "sshfs"), p.source); err != nil {
		return err
	}
	if p.mounts[viaRclone], p.mounts[viaDavfs2], err = webdav(p.ends, filepath.Join(base, "webdav"), p.source); err != nil {
		return err
	}
	if p.syncthing, err = newSyncthing(p.ends, filepath.Join(base, "syncthing"), filepath.Join(p.source, treeName)); err != nil {
		return err
	}
	if err := os.CopyFS(p.a.mnt, os.DirFS(p.source)); err != nil {
		return err
	}
	if err := command("sync", "-f", p.a.mnt); err != nil {
		return err
	}
	p.mounts[viaShelf] = &peer{dir: p.b.mnt, forget: p.forget, cpu: func() (float64, float64) {
		reads, _ := p.b.usage()
		serves, _ := p.a.usage()
		return reads, serves
	}}
	return p.walk("", func(rel string, size int64) error { return sees(filepath.Join(p.b.mnt, rel), size) })
}

// forget has Shelf's reading device hold names and attributes alone.
func (p *peering) forget() error {
	if _, err := p.b.shelf("unpin", filepath.Join(p.b.mnt, treeName)); err != nil {
		return err
	}
	return p.forgetOn(p.b, bigName, smallName, treeName)
}

// forgetOn leaves nothing of these files on a device, whose daemon has just been started when it returns.
func (p *peering) forgetOn(h home, names ...string) error {
	for _, name := range names {
		if _, err := h.shelf("free", filepath.Join(h.mnt, name)); err != nil {
			return err
		}
	}
	if err := p.restart(h); err != nil {
		return err
	}
	for _, name := range names {
		here, err := h.localBytes(filepath.Join(h.mnt, name))
		if err != nil {
			return err
		}
		if here > 0 {
			return fmt.Errorf("%d bytes of %s are still on the reading device", here, name)
		}
	}
	dropCaches()
	return nil
}
