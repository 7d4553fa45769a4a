// Package kv is the encrypted key-value store of a device: sealed rows under hashed keys.
//
// It is the only importer of Pebble. A row's key is made of a table byte and parts that are
// either plain (ordered as they are) or hidden (16 bytes of a keyed PRF), so that a prefix
// scan lists a directory without naming it. A row's value is sealed with a synthetic iv
// and bound to its key: a row that was changed, swapped with another or written by a store
// with another master key is reported as Corrupt, never returned. Deletions and whole-file
// rollbacks by somebody who can write to the disk are not detected.
//
// What it is not: a place for large values (package cache keeps those in segment files), and
// not a lock: batches are atomic, but read-modify-write needs the caller's own mutex.
//
// Durability: a NoSync commit is visible at once and durable after the next Sync; commits
// become durable in the order in which they were made, so what survives a crash is a prefix.
// A full disk never ends the process: see guard.go.
//
// OpenMemory opens a store in memory with the same behaviour, for simulations: memory.go.
package kv
