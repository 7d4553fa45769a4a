// Package winfs serves an fs.FS to WinFsp on Windows, as a drive letter or a folder, through cgofuse.
//
// What the driver asks for is answered by Volume, which knows nothing of cgofuse and is tested
// everywhere. What ties the two together is built on Windows, without cgo, and elsewhere with the
// tag cgofuse, which wants cgo and libfuse: so the conformance suite runs over it on Linux, too.
//
// The driver asks by paths and is told of no changes; it keeps what it knows for a second.
package winfs
