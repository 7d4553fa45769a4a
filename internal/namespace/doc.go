// Package namespace is this device's replica of a share's tree: every name, attribute,
// version and placement, and nothing of any file's bytes.
//
// All devices hold all of it, work offline, and merge with any other in any order; package
// merge decides what concurrent changes amount to. Reads are local and never wait for the
// network. Each operation is one atomic batch of the store: visible at once, durable a few
// milliseconds later with others of its group (Sync waits for that), signed as a batch, and
// handed to other devices only after it is durable.
//
// The view is incremental: a row of table d (directory, name) lists the nodes under that name,
// so that renaming a directory touches O(1) rows; what collisions make (merged directories,
// displaced names, virtual conflict copies) is derived on reading, only where a collision is.
package namespace
