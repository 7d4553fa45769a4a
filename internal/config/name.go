package config

import (
	"os"
	"strings"
	"unicode"
)

// DefaultName is a device name made from the computer's, and always one that CheckName accepts.
func DefaultName() string {
	host, err := os.Hostname()
	if err != nil {
		return "device"
	}
	return cleanName(host)
}

func cleanName(host string) string {
	host, _, _ = strings.Cut(host, ".")
	host = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' {
			return r
		}
		return -1
	}, strings.ToValidUTF8(host, ""))
	for len(host) > 64 {
		host = host[:strings.LastIndexFunc(host, func(rune) bool { return true })]
	}
	if CheckName(host) != nil {
		return "device"
	}
	return host
}
