//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
)

// smallFile is what a small file of the source holds.
type smallFile struct {
	dir, name string
	data      []byte
}

// treeSizes are the sizes of the files of a tree, again and again, as a folder of a person has them.
var treeSizes = [...]int{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20}

// fillSource makes the source: a large file, many small ones, and a tree of mixed sizes.
func (p *peering) fillSource() error {
	if err := os.MkdirAll(p.source, 0o755); err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(p.source, bigName), p.data); err != nil {
		return err
	}
	if err := makeFiles(p.source, 0, p.files); err != nil {
		return err
	}
	for i := range p.files {
		path := fileName(p.source, 0, i)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(p.source, path)
		if err != nil {
			return err
		}
		p.small = append(p.small, smallFile{filepath.Dir(rel), filepath.Base(rel), data})
	}
	sort.Slice(p.small, func(i, j int) bool {
		a, b := p.small[i], p.small[j]
		return a.dir < b.dir || a.dir == b.dir && a.name < b.name
	})
	rng := rand.NewChaCha8([32]byte{'t', 'r', 'e', 'e'})
	for i, left := 0, p.mib<<20; left > 0; i++ {
		data := make([]byte, min(left, treeSizes[i%len(treeSizes)]))
		rng.Read(data)
		left -= len(data)
		path := filepath.Join(p.source, treeName, fmt.Sprintf("d%02d", i/len(treeSizes)), fmt.Sprintf("f%04d", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
