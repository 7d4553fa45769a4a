//go:build !linux && !darwin

package config

func birth(string) (inode uint64, born int64, ok bool) { return 0, 0, false }
