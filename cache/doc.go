// Package cache keeps sealed blocks on this device, within a limit.
//
// Every block is in one class, which follows from its owners: with an owner of kind Writing
// or Staged it is Staged (written here, other devices may not have it), else with one of kind
// Pin or Hold it is Pinned (to be kept), else with one of kind History it is Past (of contents that
// nothing shows any more), else Fetched (may go at any time). Fetched blocks are evicted, and when
// there are none left, Past ones. The limit covers all for the admission of fetched and pinned
// blocks; staged ones are taken as long as the disk has room, because a person's writes are
// not refused for a small cache.
//
// Large blocks lie in append-only segment files of some 64 MiB, each block with a header of
// its own; small ones, and the index, in package kv. Reading a large block costs one index
// get and one pread, and takes no lock that a writer holds over IO. Freed ranges are punched
// out of the segment, empty segments deleted, sparse ones copied together.
//
// What is evicted, in which order, and how that compares with other policies: evict.go and
// EVICTION.md, which also states how much is written for a byte admitted. Scrub reads every block
// again, a little at a time, and remembers over restarts how far it is.
//
// Crash order: a block is durable before Sync returns, and a freed range is reused or punched
// only after its index row is durably gone. Rows whose blocks were not yet synced are listed
// in the index; after a crash Open checks exactly those and drops what did not survive.
//
// The package moves ciphertext: it has no key that opens a block. The master key it is given
// seals the index (which block belongs to which node).
package cache
