//go:build unix

package client

func isNoListener(error) bool { return false } // fs.ErrNotExist and ECONNREFUSED say it all
