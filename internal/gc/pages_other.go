//go:build !linux || !(amd64 || arm64) || race

package gc

// useLargePages is for Linux: elsewhere the system knows best. The race detector would use memory for all of it.
func useLargePages(int) {}
