//go:build linux || darwin

package control

import "net"

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
		if u, err := socketUID(int(fd)); err == nil {
			uid = u
		}
	})
	return uid, true
}
