//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
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

// walk calls f for the files of a folder of the source, "" for all.
func (p *peering) walk(under string, f func(rel string, size int64) error) error {
	return filepath.WalkDir(filepath.Join(p.source, under), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(p.source, path)
		if err != nil {
			return err
		}
		return f(rel, fi.Size())
	})
}

// check compares a file or folder of the source with what dir has of it, once for each dir: the first
// time that this is asked for, after before, which empties all caches, if it is not nil.
func (p *peering) check(dir, under string, before func() error) error {
	key := filepath.Join(dir, under)
	if p.checked[key] {
		return nil
	}
	p.checked[key] = true
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	return p.walk(under, func(rel string, _ int64) error {
		return sameFile(filepath.Join(p.source, rel), filepath.Join(dir, rel))
	})
}

func sameFile(want, got string) error {
	a, err := os.Open(want)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(got)
	if err != nil {
		return err
	}
	defer b.Close()
	bufA, bufB := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := int64(0); ; {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		if errB != nil && errB != io.EOF && errB != io.ErrUnexpectedEOF {
			return errB
		}
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return fmt.Errorf("%s: not the bytes of the source after %d", got, off)
		}
		off += int64(n)
		if errA != nil {
			if errA == io.EOF || errA == io.ErrUnexpectedEOF {
				return nil
			}
			return errA
		}
	}
}
