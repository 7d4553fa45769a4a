//go:build darwin || freebsd

package fusefs

func raiseReadAhead(string) {}
