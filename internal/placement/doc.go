// Package placement decides what lies on this device and when it may go.
//
// A file is pinned (its blocks are fetched and kept), cloud (not kept) or automatic (kept while
// it is used), per device and node, inherited from the folder above; the namespace replicates
// these wishes, this package carries them out (pins.go).
//
// A device that promised to have a block for as long as nobody else has is its *keeper*: the
// writer of new bytes (class Staged), a device where it is pinned, and a device that was asked
// to hold it (class Pinned). Everything else is cache and may be dropped at will. A keeper stops
// keeping only with a grant from another keeper that is not about to leave itself (release.go).
// A grant is for one block of one file, named in the question: a keeper lets go of what it keeps
// when that file shows it no more, whatever other file has the same bytes. An answer that comes
// after the asker gave up is ignored. So the last copy cannot slip through between two devices
// that both mean to free it. Blocks lose an owner in two places only: by a grant, or in sweep,
// when their file has not shown them for a while. What is kept and found damaged is fetched again
// (mend.go).
//
// Devices tell each other which contents they keep whole (ledger.go, announce.go): that answers
// "how many copies, where" also for devices that are away.
package placement
