package share

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
	"unicode"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kdf"
)

// TokenPrefix begins every invitation.
const TokenPrefix = "shelf-join-"

const (
	tokenVersion  = 1
	tokenSecret   = 16
	tokenChecksum = 4
	tokenFixed    = 1 + tokenSecret + 32 + 4 + 1 // up to and with the count of addresses
	maxTokenAddrs = 8
	maxTokenText  = 4 << 10
)

// Token is an invitation as it is handed to the new device. It contains no key of the
// share: it only lets its bearer ask, once, at the device that made it.
type Token struct {
	Secret  [tokenSecret]byte
	Inviter ident.TransportKey // the peer that must answer; nobody else's answer counts
	Expires time.Time          // whole seconds
	Addrs   []string           // multiaddrs of the inviter, without /p2p/
}

// inviteID names an invitation to the inviting device without revealing the secret.
type inviteID [32]byte

func (t Token) id() inviteID { return kdf.Derive(t.Secret[:], kdf.InviteID) }

func (i inviteID) text() string { return tokenText.EncodeToString(i[:10]) }

// ID names the invitation in messages and logs; it is no secret.
func (t Token) ID() string { return t.id().text() }

// Expired reports whether the token is past its time.
func (t Token) Expired(now time.Time) bool { return !now.Before(t.Expires) }

var tokenText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String is the form to copy: TokenPrefix and lower-case base32 of
//
//	u8 version | secret 16 | inviter 32 | u32 expiry, seconds since 1970 | u8 n | n addresses | checksum 4
//
// where the checksum is the beginning of SHA-256 of all before it, in every version. See
// addr.go for the form of an address. Addresses beyond eight are left out.
func (t Token) String() string {
	b := append([]byte{tokenVersion}, t.Secret[:]...)
	b = append(b, t.Inviter[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(t.Expires.Unix()))
	addrs := make([][]byte, 0, maxTokenAddrs)
	for _, a := range t.Addrs {
		if len(addrs) < maxTokenAddrs && len(a) <= maxAddrText {
			addrs = append(addrs, packAddr(a))
		}
	}
	b = append(b, byte(len(addrs)))
	b = append(b, bytes.Join(addrs, nil)...)
	sum := sha256.Sum256(b)
	return TokenPrefix + tokenText.EncodeToString(append(b, sum[:tokenChecksum]...))
}

// ParseToken reads what a person pasted or typed: case, spaces and line breaks do not
// matter. Invalid errors say whether it is no invitation at all, incomplete or mistyped;
// Unsupported means that a newer Shelf made it. Whether it has expired is the caller's
// question to Expired.
func ParseToken(text string) (Token, error) {
	bad := func(why string) (Token, error) {
		return Token{}, errs.E("share.ParseToken", errs.Invalid, why, nil)
	}
	if len(text) > maxTokenText {
		return bad("this is far too long for an invitation")
	}
	clean := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
	coded, ok := strings.CutPrefix(clean, TokenPrefix)
	if !ok {
		return bad("this is not an invitation: it does not begin with " + TokenPrefix)
	}
	b, err := tokenText.DecodeString(coded)
	if err != nil || tokenText.EncodeToString(b) != coded {
		return bad("the invitation has a typing mistake, or a part is missing")
	}
	if len(b) < 1+tokenChecksum {
		return bad("the invitation is incomplete")
	}
	b, sum := b[:len(b)-tokenChecksum], b[len(b)-tokenChecksum:]
	if want := sha256.Sum256(b); !bytes.Equal(sum, want[:tokenChecksum]) {
		return bad("the invitation has a typing mistake, or a part is missing")
	}
	if b[0] != tokenVersion {
		return Token{}, errs.E("share.ParseToken", errs.Unsupported, "a newer Shelf made this invitation: upgrade this device", nil)
	}
	if len(b) < tokenFixed {
		return bad("the invitation is incomplete")
	}
	t := Token{Secret: [tokenSecret]byte(b[1:]), Inviter: ident.TransportKey(b[1+tokenSecret:]),
		Expires: time.Unix(int64(binary.BigEndian.Uint32(b[tokenFixed-5:])), 0)}
	n, rest := int(b[tokenFixed-1]), b[tokenFixed:]
	if n > maxTokenAddrs {
		return bad("too many addresses")
	}
	for range n {
		a, more, ok := unpackAddr(rest)
		if !ok {
			return bad("an address makes no sense")
		}
		t.Addrs, rest = append(t.Addrs, a), more
	}
	if len(rest) > 0 {
		return bad("there is more than there should be")
	}
	return t, nil
}
