// Package herald has the kernel tell programs that watch a folder of a mount (inotify) what another
// device changed there. The kernel makes such events for calls of programs only, and has no request by
// which a server could ask for one. So a helper process makes the calls: it creates what has appeared,
// removes what has vanished, changes nothing about what was changed. The server knows the helper by its
// thread, does nothing for it, and answers as if it had: the kernel believes it, and tells who watches.
// A rename elsewhere is heard as a deletion and a creation.
//
// It is a process of its own, because one that uses a mount that it serves can hang for ever when it is
// killed. It runs only once somebody watches something, and uses nothing of the mount between two calls.
package herald

// Do says which call the helper makes.
type Do int

const (
	Create    Do = iota // open(O_CREAT|O_EXCL), mkdir, symlink or mknod, as Mode says
	Remove              // unlink, or rmdir as Mode says
	Modify              // open, fallocate that changes nothing, close
	Attribute           // chmod to what it is
)

// Call is one line to the helper, as JSON.
type Call struct {
	Do   Do
	Path string // absolute
	Mode uint32 // the S_IF bits of what lies or lay there
}
