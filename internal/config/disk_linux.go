package config

import "golang.org/x/sys/unix"

// birth is the number of a folder's inode and when that was made, in nanoseconds.
func birth(dir string) (inode uint64, born int64, ok bool) {
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_INO|unix.STATX_BTIME, &st) != nil || st.Mask&unix.STATX_BTIME == 0 {
		return 0, 0, false
	}
	return st.Ino, st.Btime.Sec*1e9 + int64(st.Btime.Nsec), true
}
