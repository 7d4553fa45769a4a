package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/shelffs/shelf/blocks"
)

// heat remembers, in a fixed 4 MiB, which blocks were used since the evicting hand last passed
// (one bit a block, found by its digest: blocks may share one, which only spares a cold block
// once) and which were evicted lately.
type heat struct {
	used    bits // 2^24 bits
	ghosts  ghosts
	changed atomic.Bool
	file    string // where it is kept; empty: nowhere
}

type bits []atomic.Uint32

func newHeat() *heat {
	h := &heat{used: make(bits, 1<<24/32), ghosts: ghosts{young: newGone(), old: newGone()}}
	h.ghosts.share.Store(firstShare)
	return h
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

// evict notes that d went from a queue, while so many blocks are fetched.
func (h *heat) evict(d blocks.Digest, queue uint8, cached int64) {
	h.ghosts.note(d, queue, cached)
	h.changed.Store(true)
}

// The file: the bits of used and of the ghosts (young, old; now, before), their counts and the share as
// u64le, then the SHA-256 of all before. It is a hint: what can't be read, or has another length, is
// taken as cold.

func (h *heat) bits() []bits {
	g := &h.ghosts
	return []bits{h.used, g.young.now, g.young.before, g.old.now, g.old.before}
}

func (h *heat) numbers() []*atomic.Int64 {
	g := &h.ghosts
	return []*atomic.Int64{&g.young.n, &g.young.nBefore, &g.old.n, &g.old.nBefore, &g.share}
}

func (h *heat) fileSize() (n int) {
	for _, b := range h.bits() {
		n += 4 * len(b)
	}
	return n + 8*len(h.numbers()) + sha256.Size
}

// load reads the file, and has it kept.
func (h *heat) load(dir string) {
	h.file = filepath.Join(dir, "heat")
	data, err := os.ReadFile(h.file)
	if err != nil || len(data) != h.fileSize() {
		return
	}
	body, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if got := sha256.Sum256(body); string(got[:]) != string(sum) {
		return
	}
	for _, b := range h.bits() {
		for i := range b {
			b[i].Store(binary.LittleEndian.Uint32(body[4*i:]))
		}
		body = body[4*len(b):]
	}
	for i, n := range h.numbers() {
		n.Store(int64(binary.LittleEndian.Uint64(body[8*i:])))
	}
}

func (h *heat) save() error {
	if h.file == "" || !h.changed.Swap(false) {
		return nil
	}
	data := make([]byte, 0, h.fileSize())
	for _, b := range h.bits() {
		for i := range b {
			data = binary.LittleEndian.AppendUint32(data, b[i].Load())
		}
	}
	for _, n := range h.numbers() {
		data = binary.LittleEndian.AppendUint64(data, uint64(n.Load()))
	}
	sum := sha256.Sum256(data)
	tmp := h.file + ".new"
	if err := os.WriteFile(tmp, append(data, sum[:]...), 0o600); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, h.file)
}
