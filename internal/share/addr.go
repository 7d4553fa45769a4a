package share

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// Addresses in a token, kept short so that its QR code is easy to scan:
//
//	u8 form | form 1: ip 4 | port u16 | …      u8 form | form 0: u8 length | text
//
// Forms: 0 any multiaddr as text; otherwise bit 0 set, bit 1: IPv6 (16 bytes) instead of
// IPv4, bit 2: /udp/PORT/quic-v1 instead of /tcp/PORT.
const (
	addrText = 0
	addrIP   = 1
	addrIPv6 = 2
	addrQUIC = 4
)

const maxAddrText = 255

// packAddr encodes a multiaddr of at most maxAddrText bytes.
func packAddr(text string) []byte {
	if b := packIP(text); b != nil {
		return b
	}
	return append([]byte{addrText, byte(len(text))}, text...)
}

// packIP encodes the common forms; nil if text is not exactly what unpackAddr would give.
func packIP(text string) []byte {
	p := strings.Split(text, "/")
	if len(p) < 5 || p[0] != "" {
		return nil
	}
	ip, err := netip.ParseAddr(p[2])
	if err != nil {
		return nil
	}
	port, err := strconv.ParseUint(p[4], 10, 16)
	if err != nil {
		return nil
	}
	form := byte(addrIP)
	if ip.Is6() {
		form |= addrIPv6
	}
	if p[3] == "udp" {
		form |= addrQUIC
	}
	b := append([]byte{form}, ip.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, uint16(port))
	if back, _, _ := unpackAddr(b); back != text {
		return nil
	}
	return b
}

// unpackAddr decodes one address and returns what follows it.
func unpackAddr(b []byte) (text string, rest []byte, ok bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	form, b := b[0], b[1:]
	if form == addrText {
		n := int(b[0])
		if len(b) < 1+n {
			return "", nil, false
		}
		return string(b[1 : 1+n]), b[1+n:], true
	}
	if form&addrIP == 0 || form > addrIP|addrIPv6|addrQUIC {
		return "", nil, false
	}
	size, proto := 4, "/ip4/"
	if form&addrIPv6 != 0 {
		size, proto = 16, "/ip6/"
	}
	if len(b) < size+2 {
		return "", nil, false
	}
	ip, _ := netip.AddrFromSlice(b[:size])
	port := strconv.Itoa(int(binary.BigEndian.Uint16(b[size:])))
	if form&addrQUIC != 0 {
		port = "/udp/" + port + "/quic-v1"
	} else {
		port = "/tcp/" + port
	}
	return proto + ip.String() + port, b[size+2:], true
}
