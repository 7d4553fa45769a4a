// Package davfs serves an fs.FS as WebDAV (RFC 4918), for systems without FUSE or WinFsp: file
// managers and the systems' own WebDAV clients mount it. The protocol is that of
// golang.org/x/net/webdav; what a filesystem means is in package fs.
//
// WebDAV knows files and directories, and no more. A symlink to a file shows as that file;
// other symlinks, fifos, sockets and devices are left out. Modes, owners and hard links can
// neither be seen nor set.
//
// An upload replaces a file as a whole when all of it has arrived, or not at all.
package davfs
