package kv

// An engine keeps rows in order below a DB. There are two: Pebble on a disk, which seals rows
// (pebble.go), and rows in memory for simulations (memory.go). A DB checks keys, counts the
// calls inside and gives batches their manners; after close an engine answers only metrics
// and free.
type engine interface {
	rowReader // the present state
	batch() engineBatch
	snapshot() engineSnapshot
	sync(op string) error
	stop() // Close has begun: calls that wait for the disk are to end
	close() error
	metrics() Metrics // but DiskBytes
	size() int64      // DiskBytes
	free() int64      // bytes that the disk has left
}

// rowReader is the engine's side of Reader.
type rowReader interface {
	get(dst []byte, k Key) ([]byte, error)
	has(k Key) (bool, error)
	pick(keys []Key, fn func(int, []byte) bool) error  // keys are sorted and not none
	each(prefixes []Key, fn func(int, Key) bool) error // likewise, and none begins another
	scan(r Range, fn func(Key, []byte) bool) error
}

type engineSnapshot interface {
	rowReader
	close() error
}

type engineBatch interface {
	rowReader // the present state with the batch's changes over it
	set(k Key, value []byte) error
	mark(k Key) error
	delete(k Key) error
	deleteRange(from, to Key) error
	len() int // bytes
	empty() bool
	commit(op string, d Durability, reclaims bool) error
	close() error
}
