package fs

import (
	"context"
	"errors"
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// What fsync has promised of a file that is still being written goes to a journal if it is little: one
// sync of the store, and no version of the file for every commit of a database. The file stays unsaved; when
// it is committed, its promises are over. A crash between finds them, and the file is as if it had just
// been written.

// Journal keeps promises; *journal.Journal does.
type Journal interface {
	// Append takes a promise, numbered from 1 on for each node; it is durable after the next Sync. NoSpace.
	Append(id namespace.NodeID, number uint64, p Promise) error
	// Sync is free where a sync of the namespace, whose store it is, came since.
	Sync() error
	// Forget ends promises of a node with an operation of the namespace that keeps them.
	Forget(id namespace.NodeID, from, upto uint64) namespace.Also
	// Drop ends them without. It does not wait for the disk.
	Drop(id namespace.NodeID, from, upto uint64) error
	// Each calls fn for all promises, those of a node together and in order.
	Each(fn func(id namespace.NodeID, number uint64, p Promise) error) error
}

// Promise is what was written to a file since the promise before.
type Promise struct {
	Base    []namespace.Dot // the versions on which the unsaved changes build
	Content blocks.Content  // and their bytes
	Size    int64           // of the file now
	Mtime   int64
	Parts   []Part // in order, without overlap, below Size
}

// Part is a range of a file: zeros, or data.
type Part struct {
	Off   int64
	Zeros int64
	Data  []byte
}

const (
	maxPromise  = 256 << 10 // bytes at once: more is better sealed
	maxPromised = 4 << 20   // bytes of one file since it was committed
	maxParts    = 256       // of one promise
)

// promises is the state of a file's promises. It is guarded by the mu of its inode.
type promises struct {
	fresh []extent // written since the last one, sorted, apart
	full  bool     // too much was: nothing is promised until the file is committed
	times bool     // times were set since the last one
	gen   uint64   // of the file when the last one was made
	last  uint64   // its number
	kept  uint64   // the number of the last one that is over
	bytes int64    // of all since the file was committed
}

// extent is a part of a file, [off, end).
type extent struct{ off, end int64 }

func (e extent) len() int64 { return e.end - e.off }

// note says that a range was written. It stays sorted and apart.
func (p *promises) note(off, end int64) {
	if p.full || off >= end {
		return
	}
	i, _ := slices.BinarySearchFunc(p.fresh, off, func(e extent, off int64) int {
		if e.end < off {
			return -1
		}
		return 1
	})
	j := i
	for ; j < len(p.fresh) && p.fresh[j].off <= end; j++ {
		off, end = min(off, p.fresh[j].off), max(end, p.fresh[j].end)
	}
	if p.fresh = slices.Replace(p.fresh, i, j, extent{off, end}); len(p.fresh) > maxParts {
		p.fill()
	}
}

func (p *promises) fill() { p.fresh, p.full = nil, true }

// promise makes what was written to n durable with the next sync of the journal, if that can be done by a
// promise; else false, and the file must be saved.
func (s *saver) promise(ctx context.Context, n *inode) (bool, error) {
	if s.fs.cfg.Journal == nil {
		return false, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.file
	for f != nil && f.paused != nil {
		paused := f.paused
		n.mu.Unlock()
		err := s.fs.wait(ctx, paused)
		n.mu.Lock()
		if f = n.file; err != nil {
			return false, err
		}
	}
	if f == nil || !f.promisable() {
		return false, nil
	}
	if f.promises.gen == f.gen && !f.promises.times {
		return true, nil
	}
	p, bytes := f.newPromise()
	if bytes > maxPromise || f.promises.bytes+bytes > maxPromised {
		f.promises.fill()
		return false, nil
	}
	f.promises.last++
	number, gen, id := f.promises.last, f.gen, n.id
	f.promises.fresh, f.promises.times = nil, false
	f.paused = make(chan struct{})
	n.mu.Unlock()
	err := s.fs.cfg.Journal.Append(id, number, p)
	n.mu.Lock()
	if err != nil {
		f.promises.fill()
	} else {
		f.promises.gen, f.promises.bytes = gen, f.promises.bytes+bytes
	}
	s.fs.resume(f)
	return err == nil, nil // what keeps it from being promised, saving it tells
}

// promisable reports whether a promise says all: there are changes, all of them still in dirty (nothing was
// sealed that is not committed), on top of what the namespace shows.
func (f *file) promisable() bool {
	return f.touched && !f.emptied && f.n.gone == nil && !f.promises.full && f.splices == 0 && f.err == nil && f.atime == nil &&
		slices.Equal(f.base, f.entry.Versions)
}

// newPromise says what was written since the last promise, and how many bytes of it are data.
func (f *file) newPromise() (p Promise, bytes int64) {
	p = Promise{Base: f.base, Content: f.entry.Content, Size: f.size, Mtime: f.mtime}
	for _, e := range f.promises.fresh {
		end := min(e.end, f.size)
		if e.off >= end {
			continue
		}
		f.dirty.visit(e.off, end-e.off, func(s span, covered bool) {
			switch {
			case covered && s.zero():
				p.Parts = append(p.Parts, Part{Off: s.off, Zeros: s.n})
			case s.buf != nil:
				if bytes += s.n; bytes <= maxPromise {
					p.Parts = append(p.Parts, Part{Off: s.off, Data: slices.Clone(s.bytes())})
				}
			}
		})
	}
	return p, bytes
}

// dropPromises ends the promises of a file that is gone. n.mu is held.
func (f *file) dropPromises(fs *FS) {
	if p := &f.promises; p.kept < p.last {
		if err := fs.cfg.Journal.Drop(f.n.id, p.kept+1, p.last); err != nil {
			fs.log.Warn("promises of a removed file are not forgotten", "err", err)
		}
		p.kept = p.last
	}
}

// recoverPromises makes files with promises what they were before the crash, unsaved, and has them saved.
func (fs *FS) recoverPromises() error {
	if fs.cfg.Journal == nil {
		return nil
	}
	var id namespace.NodeID
	var first, last uint64
	var all []Promise
	keep := func() error {
		if len(all) == 0 {
			return nil
		}
		defer func() { all = nil }()
		return fs.recoverFile(id, first, last, all)
	}
	err := fs.cfg.Journal.Each(func(of namespace.NodeID, number uint64, p Promise) error {
		if of != id {
			if err := keep(); err != nil {
				return err
			}
			id, first = of, number
		}
		if number == first+uint64(len(all)) { // what comes after a damaged one would be a mixture
			all = append(all, p)
		}
		last = number
		return nil
	})
	return errors.Join(err, keep())
}

// recoverFile keeps the promises of one file.
func (fs *FS) recoverFile(id namespace.NodeID, first, last uint64, all []Promise) error {
	e, err := fs.cfg.Names.Get(id)
	if errs.Is(err, errs.Stale) || errs.Is(err, errs.NotExist) || err == nil && e.Kind != namespace.File {
		return fs.cfg.Journal.Drop(id, first, last)
	}
	if err != nil {
		return err
	}
	newest := &all[len(all)-1]
	n := fs.table.pinned(id)
	defer fs.table.unpin(n)
	n.mu.Lock()
	defer n.mu.Unlock()
	e.Content, e.Versions = newest.Content, newest.Base
	f := fs.attach(n, e)
	for i := range all {
		f.apply(&all[i])
	}
	fs.touch(f)
	f.mtime, f.want = newest.Mtime, true
	f.promises.kept, f.promises.last = first-1, last
	fs.saver.enqueue(n, false)
	return nil
}

// apply writes once more what was promised.
func (f *file) apply(p *Promise) {
	f.resize(p.Size)
	for _, x := range p.Parts {
		if x.Zeros > 0 {
			f.zero(x.Off, x.Zeros)
		} else {
			f.write(x.Off, x.Data)
		}
	}
}
