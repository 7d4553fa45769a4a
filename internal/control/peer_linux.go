package control

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUID asks the kernel who is at the other end. An answer that cannot be had counts as
// a stranger's.
func peerUID(c net.Conn) (uid int, known bool) {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return -1, true
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return -1, true
	}
	uid = -1
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	return uid, true
}
