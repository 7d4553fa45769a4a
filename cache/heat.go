package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/shelffs/shelf/blocks"
)

// heat remembers, in a fixed 3 MiB, which blocks were used since the evicting hand last passed
// (one bit a block, found by its digest: blocks may share one, which only spares a cold block
// once) and which were evicted lately.
type heat struct {
	used    bits // 2^24 bits
	gone    bits // 2^23 bits
	evicted atomic.Int64
	changed atomic.Bool
	file    string // where it is kept; empty: nowhere
}

type bits []atomic.Uint32

func newHeat() *heat {
	return &heat{used: make(bits, 1<<24/32), gone: make(bits, 1<<23/32)}
}

func (b bits) at(d blocks.Digest) (*atomic.Uint32, uint32) {
	h := binary.LittleEndian.Uint64(d[:])
	return &b[h>>5%uint64(len(b))], 1 << (h & 31)
}

func (b bits) set(d blocks.Digest) {
	if w, m := b.at(d); w.Load()&m == 0 {
		w.Or(m)
	}
}

// take clears the bit and reports whether it was set.
func (b bits) take(d blocks.Digest) bool {
	w, m := b.at(d)
	return w.Load()&m != 0 && w.And(^m)&m != 0
}

// touch notes a use.
func (h *heat) touch(d blocks.Digest) {
	h.used.set(d)
	if !h.changed.Load() {
		h.changed.Store(true)
	}
}

// cool reports whether d was used since the last call, and forgets it.
func (h *heat) cool(d blocks.Digest) bool { return h.used.take(d) }

// evict notes that d went; what went long ago is forgotten, all at once when the bits fill up.
func (h *heat) evict(d blocks.Digest) {
	if h.evicted.Add(1) > int64(len(h.gone))*32/8 {
		for i := range h.gone {
			h.gone[i].Store(0)
		}
		h.evicted.Store(1)
	}
	h.gone.set(d)
	h.changed.Store(true)
}

// forgot reports whether d was evicted lately.
func (h *heat) forgot(d blocks.Digest) bool { return h.gone.take(d) }

// The file: the bits of used, then gone, then the SHA-256 of both. It is a hint: what can't be
// read is taken as cold.

// load reads the file, and has it kept.
func (h *heat) load(dir string) {
	h.file = filepath.Join(dir, "heat")
	data, err := os.ReadFile(h.file)
	if want := 4*(len(h.used)+len(h.gone)) + sha256.Size; err != nil || len(data) != want {
		return
	}
	body, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if got := sha256.Sum256(body); string(got[:]) != string(sum) {
		return
	}
	for _, b := range []bits{h.used, h.gone} {
		for i := range b {
			b[i].Store(binary.LittleEndian.Uint32(body[4*i:]))
		}
		body = body[4*len(b):]
	}
}

func (h *heat) save() error {
	if h.file == "" || !h.changed.Swap(false) {
		return nil
	}
	data := make([]byte, 0, 4*(len(h.used)+len(h.gone))+sha256.Size)
	for _, b := range []bits{h.used, h.gone} {
		for i := range b {
			data = binary.LittleEndian.AppendUint32(data, b[i].Load())
		}
	}
	sum := sha256.Sum256(data)
	tmp := h.file + ".new"
	if err := os.WriteFile(tmp, append(data, sum[:]...), 0o600); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, h.file)
}
