package p2p

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
)

// TLS reads and writes its connection record by record, of 16 KiB at most, with a call of the system and perhaps a waking of
// the other side for each. Moved many at a time, a block alone comes in 334 µs for 360 (BenchmarkFirstBlock), with a third
// of the calls.
const (
	recordsIn  = 128 << 10 // read ahead
	recordsOut = 96 << 10  // gathered: a message of the multiplexer as records
)

// records is a connection below TLS.
type records struct {
	net.Conn
	in *bufio.Reader

	mu     sync.Mutex
	out    []byte // gathered
	gather bool
	err    error // of a write: some of it may have gone

	flushing atomic.Bool
}

func newRecords(c net.Conn) *records {
	return &records{Conn: c, in: bufio.NewReaderSize(c, recordsIn)}
}

// Read implements net.Conn.
func (r *records) Read(b []byte) (int, error) { return r.in.Read(b) }

// Write implements net.Conn.
func (r *records) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.gather && r.err == nil {
		return r.Conn.Write(b)
	}
	if len(r.out)+len(b) > recordsOut {
		r.flush()
	}
	if r.err != nil {
		return 0, r.err
	}
	r.out = append(r.out, b...)
	return len(b), nil
}

// together has one write the records that are written during fn. One caller at a time.
func (r *records) together(fn func()) error {
	r.mu.Lock()
	r.gather = true
	r.mu.Unlock()
	fn()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gather = false
	r.flush()
	return r.err
}

// flush needs mu.
func (r *records) flush() {
	if len(r.out) == 0 || r.err != nil {
		return
	}
	r.flushing.Store(true)
	_, r.err = r.Conn.Write(r.out)
	r.flushing.Store(false)
	r.out = r.out[:0]
}
