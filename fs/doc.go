// Package fs is the filesystem without a kernel: inodes, handles, dirty data, and what
// must be forgotten when another device changes something. Adapters (fs/fusefs and its
// siblings) translate a kernel's requests to its methods and do nothing else.
//
// What it stands on: a replica of the tree that answers from this device (Namespace), a
// getter of sealed blocks that may take them from far away (Blocks), a store that keeps
// new blocks until others have them (Store), and the sealer, the only way between
// plaintext and blocks. Nothing here waits for the network except reading a file's bytes.
//
// # Writing
//
// A write lands in memory: ranges that lie over the file's committed tree of blocks. So do the blocks of another
// file that a copy takes over (copy.go).
// Closing the last writer or a quiet second hands the file to the committer, which
// cuts and seals what changed, stages the blocks, makes a whole group of files durable
// with one sync, and only then writes the records that name the blocks. fsync of little
// writes it to a journal instead (promise.go); of more it waits for the committer. When all files together hold too much unsaved data, the oldest is sealed
// early and writers slow down to the speed of the disk.
//
// # Locks
//
// In this order, none of them held across a wait for disk or network:
//
//	inode.mu    one inode: its file state, its node
//	table.mu    which inodes are known
//	small ones: plaintext cache, dirty list, group of the committer
//
// Renames lock no inodes: the namespace decides their order.
package fs
