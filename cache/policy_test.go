package cache

import (
	"container/list"
	"math"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// policy is a cache as a trace sees it: a block is read, and if it is not there it comes.
// Each counts a block as what the store charges for it.
type policy interface {
	read(a access) (hit bool)
}

// shelf is the store itself, over a disk that remembers nothing but headers: what it evicts is
// what it would evict on a device.
type shelf struct {
	t   testing.TB
	s   *Store
	buf []byte
}

// zeros are the bytes of every block of a trace: nobody looks at them.
var zeros [blocks.MaxSealed]byte

func newShelf(t testing.TB, limit int64) *shelf {
	s := open(t, t.TempDir(), Options{Limit: limit, TrustDisk: true, fault: faults{disk: newHeadDisk(), db: kvMem()}})
	s.heat.file = ""
	s.compacting.Lock() // copying would check the bytes; it moves records and evicts nothing
	t.Cleanup(s.compacting.Unlock)
	return &shelf{t, s, make([]byte, blocks.MaxSealed+recordHeader)}
}

func (p *shelf) read(a access) bool {
	_, err := p.s.GetBlockInto(bg, a.digest(), p.buf)
	if !errs.Is(err, errs.NotExist) {
		must(p.t, err)
		return true
	}
	must(p.t, p.s.PutBlock(bg, blocks.Sealed{Digest: a.digest(), Bytes: zeros[:a.size]}))
	return false
}

// headDisk keeps the headers of records.
type headDisk struct{ *memDisk }

type headFile struct {
	segFile
	heads map[int64][recordHeader]byte
}

func newHeadDisk() headDisk { return headDisk{newMemDisk()} }

func (d headDisk) Create(no uint32) (segFile, error) {
	f, err := d.memDisk.Create(no)
	return &headFile{f, map[int64][recordHeader]byte{}}, err
}

func (f *headFile) WriteAt(p []byte, off int64) (int, error) {
	if len(p) == recordHeader && off%recordAlign == 0 {
		f.heads[off] = [recordHeader]byte(p)
	}
	return len(p), nil
}

func (f *headFile) WriteBoth(a, b []byte, off int64, _ bool) error { return writeEach(f, a, b, off) }

func (f *headFile) ReadAt(p []byte, off int64) (int, error) {
	h := f.heads[off]
	copy(p, h[:])
	return len(p), nil
}

func (f *headFile) Punch(off, n int64) error {
	for end := off + n; off < end; off += recordAlign {
		delete(f.heads, off)
	}
	return nil
}

func (f *headFile) Soon(int64, int64) {}

func (f *headFile) NextData(off int64) int64 {
	next := int64(math.MaxInt64)
	for at := range f.heads {
		if at >= off {
			next = min(next, at)
		}
	}
	return next
}

// lru is the policy that everybody knows.
type lru struct {
	limit, used int64
	order       list.List // of access, the newest first
	at          map[uint32]*list.Element
}

func newLRU(limit int64) *lru { return &lru{limit: limit, at: map[uint32]*list.Element{}} }

func (p *lru) read(a access) bool {
	if e := p.at[a.id]; e != nil {
		p.order.MoveToFront(e)
		return true
	}
	for p.used += a.charge(); p.used > p.limit; {
		p.used -= p.drop(p.order.Back()).charge()
	}
	p.at[a.id] = p.order.PushFront(a)
	return false
}

func (p *lru) drop(e *list.Element) access {
	a := p.order.Remove(e).(access)
	delete(p.at, a.id)
	return a
}

// arc is ARC (Megiddo, Modha, FAST 2003), its counts of pages turned into bytes.
type arc struct {
	c, p           int64
	t1, t2, b1, b2 arcList
}

type arcList struct {
	lru
}

func newARC(limit int64) *arc {
	l := func() arcList { return arcList{*newLRU(limit)} }
	return &arc{c: limit, t1: l(), t2: l(), b1: l(), b2: l()}
}

func (l *arcList) push(a access) { l.used += a.charge(); l.at[a.id] = l.order.PushFront(a) }

// take removes a, if it is there.
func (l *arcList) take(a access) bool {
	e := l.at[a.id]
	if e != nil {
		l.used -= l.drop(e).charge()
	}
	return e != nil
}

func (l *arcList) oldest() access {
	a := l.order.Back().Value.(access)
	l.take(a)
	return a
}

func (p *arc) read(a access) bool {
	n := a.charge()
	switch {
	case p.t1.take(a) || p.t2.take(a):
		p.t2.push(a)
		return true
	case p.b1.at[a.id] != nil:
		p.p = min(p.c, p.p+n*max(1, p.b2.used/max(1, p.b1.used)))
		p.replace(n, false)
		p.b1.take(a)
		p.t2.push(a)
	case p.b2.at[a.id] != nil:
		p.p = max(0, p.p-n*max(1, p.b1.used/max(1, p.b2.used)))
		p.replace(n, true)
		p.b2.take(a)
		p.t2.push(a)
	default:
		for p.t1.used+p.b1.used+n > p.c && p.b1.used > 0 {
			p.b1.oldest()
		}
		for p.t1.used+p.t2.used+p.b1.used+p.b2.used+n > 2*p.c && p.b2.used > 0 {
			p.b2.oldest()
		}
		p.replace(n, false)
		p.t1.push(a)
	}
	return false
}

func (p *arc) replace(n int64, inB2 bool) {
	for p.t1.used+p.t2.used+n > p.c {
		if p.t1.used > 0 && (p.t1.used > p.p || inB2 && p.t1.used == p.p || p.t2.used == 0) {
			p.b1.push(p.t1.oldest())
		} else {
			p.b2.push(p.t2.oldest())
		}
	}
}

// s3fifo is S3-FIFO as it was published (Yang et al., SOSP 2023): a small queue of a tenth, a main
// one, ghosts of as many blocks as the main one has.
type s3fifo struct {
	limit              int64
	small, main, ghost arcList
	freq               map[uint32]int
}

func newS3FIFO(limit int64) *s3fifo {
	l := func() arcList { return arcList{*newLRU(limit)} }
	return &s3fifo{limit: limit, small: l(), main: l(), ghost: l(), freq: map[uint32]int{}}
}

func (p *s3fifo) read(a access) bool {
	if p.small.at[a.id] != nil || p.main.at[a.id] != nil {
		p.freq[a.id] = min(3, p.freq[a.id]+1)
		return true
	}
	for p.small.used+p.main.used+a.charge() > p.limit {
		if p.small.used > p.limit/10 || p.main.used == 0 {
			p.evictSmall()
		} else {
			p.evictMain()
		}
	}
	p.freq[a.id] = 0
	if p.ghost.take(a) {
		p.main.push(a)
	} else {
		p.small.push(a)
	}
	return false
}

func (p *s3fifo) evictSmall() {
	a := p.small.oldest()
	if p.freq[a.id] > 1 {
		p.main.push(a)
		return
	}
	p.ghost.push(a)
	for len(p.ghost.at) > len(p.main.at)+1 {
		p.ghost.oldest()
	}
}

func (p *s3fifo) evictMain() {
	a := p.main.oldest()
	if p.freq[a.id] > 0 {
		p.freq[a.id]--
		p.main.push(a)
	}
}

// endless never evicts: what it misses nobody can hit.
type endless map[uint32]bool

func (p endless) read(a access) bool {
	hit := p[a.id]
	p[a.id] = true
	return hit
}
