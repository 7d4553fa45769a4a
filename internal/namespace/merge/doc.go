// Package merge decides what concurrent changes of a share amount to. It is pure: no
// goroutines, clocks, randomness, disk, or dependence on map order.
//
// Two layers. The causal register store (L0) knows nothing about files: a share is a map
// from register to a set of concurrent versions, and merging is set union minus what was
// overwritten. The view (L1) is a deterministic function from registers to the tree that
// people see. One idea carries it: a file or directory exists exactly as long as its content
// register holds bytes; removal is a version that holds none. Nothing derived (conflict
// copies, cuts of cycles, merged directories) is written down until a local operation
// touches it, so replicas that hold the same versions show the same tree.
//
// Names in comments such as N13 are those of the rules in ../RULES.md.
package merge
