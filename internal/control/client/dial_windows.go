package client

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isNoListener knows what Windows says when a socket's file is missing or nobody listens.
func isNoListener(err error) bool {
	return errors.Is(err, windows.WSAECONNREFUSED) || errors.Is(err, windows.WSAEINVAL) || errors.Is(err, windows.WSAENETDOWN)
}
