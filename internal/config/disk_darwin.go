package config

import "golang.org/x/sys/unix"

// birth is the number of a folder's inode and when that was made, in nanoseconds.
func birth(dir string) (inode uint64, born int64, ok bool) {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return 0, 0, false
	}
	return st.Ino, st.Btim.Nano(), true
}
