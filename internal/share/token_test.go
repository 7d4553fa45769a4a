package share

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// sampleToken has fixed bytes.
func sampleToken() Token {
	t := Token{Inviter: ident.TransportKey(sha256.Sum256([]byte("inviter"))), Expires: time.Unix(1_800_000_000, 0),
		Addrs: []string{"/ip4/192.168.1.20/tcp/4711", "/ip4/192.168.1.20/udp/4711/quic-v1", "/ip6/fe80::1/tcp/1", "/dns4/nas.example/tcp/4711"}}
	s := sha256.Sum256([]byte("secret"))
	copy(t.Secret[:], s[:])
	return t
}

func equalTokens(a, b Token) bool {
	return a.Secret == b.Secret && a.Inviter == b.Inviter && a.Expires.Equal(b.Expires) && slices.Equal(a.Addrs, b.Addrs)
}

// The text of an invitation is a format: it does not change.
func TestTokenGolden(t *testing.T) {
	const want = "shelf-join-aev3qdktpmo2hy4l2mbwdkufk2daes7netyfwm7jtt43rlbdxkiebdt5fqa263sp5i3j3ef3njwiixlljhjaababycuacfasm4c4bkabcqjgoa76qaaaaaaaaaaaaaaaaaaaaaabaaaqagrpmrxhgnbpnzqxgltfpbqw24dmmuxxiy3qf42domjrv6xhiny"
	if got := sampleToken().String(); got != want {
		t.Errorf("token %s, want %s", got, want)
	}
}

func TestTokenRoundTrip(t *testing.T) {
	for _, addrs := range [][]string{
		nil,
		{"/ip4/127.0.0.1/tcp/65535"},
		sampleToken().Addrs,
		{"", "/", "/ip4/1.2.3.4/tcp/01", "/ip4/1.2.3.4/tcp/1/ws", "/ip6/::ffff:1.2.3.4/tcp/1", "/ip4/1.2.3.4/udp/1/quic", "/ip6zone/x/ip6/fe80::1/tcp/1", strings.Repeat("x", 255)},
	} {
		want := sampleToken()
		want.Addrs = addrs
		got, err := ParseToken(want.String())
		if err != nil || !equalTokens(got, want) {
			t.Errorf("%q: %+v, %v", addrs, got, err)
		}
		if got.id() != want.id() {
			t.Error("another id")
		}
	}
	many := sampleToken()
	many.Addrs = append(slices.Repeat([]string{"/ip4/1.2.3.4/tcp/1"}, 20), strings.Repeat("y", 256))
	if got, err := ParseToken(many.String()); err != nil || len(got.Addrs) != maxTokenAddrs {
		t.Errorf("many addresses: %d, %v", len(got.Addrs), err)
	}
	if n := len((Token{Addrs: []string{"/ip4/10.0.0.1/tcp/4711", "/ip4/10.0.0.1/udp/4711/quic-v1"}}).String()); n > 140 {
		t.Errorf("%d characters: too long for a small QR code", n)
	}
}

func TestTokenAsPeopleCopyIt(t *testing.T) {
	s := sampleToken().String()
	for name, text := range map[string]string{
		"spaces around":  "  " + s + " \n",
		"capitals":       strings.ToUpper(s),
		"broken in two":  s[:40] + "\n    " + s[40:],
		"no-break space": s[:30] + "\u00a0" + s[30:],
	} {
		if got, err := ParseToken(text); err != nil || !equalTokens(got, sampleToken()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each single mistake is noticed: a character changed, left out, doubled, two swapped.
func TestTokenTypingMistakes(t *testing.T) {
	s := sampleToken().String()
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	try := func(what, text string) {
		t.Helper()
		if text == s {
			return
		}
		if _, err := ParseToken(text); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %q: %v", what, text, err)
		}
	}
	for i := range s {
		for _, c := range alphabet {
			try("changed", s[:i]+string(c)+s[i+1:])
		}
		for _, c := range "0189-_=é" {
			try("foreign", s[:i]+string(c)+s[i+1:])
		}
		try("left out", s[:i]+s[i+1:])
		try("doubled", s[:i]+s[i:i+1]+s[i:])
		try("cut", s[:i])
		if i > 0 {
			try("swapped", s[:i-1]+s[i:i+1]+s[i-1:i]+s[i+1:])
		}
	}
	for _, text := range []string{"", "hello", TokenPrefix, TokenPrefix + "aaaa", s + s, strings.Repeat("a", 1<<20)} {
		try("nonsense", text)
	}
}

// withSum appends the checksum, as any version does.
func withSum(b []byte) string {
	sum := sha256.Sum256(b)
	return TokenPrefix + tokenText.EncodeToString(append(b, sum[:tokenChecksum]...))
}

// Tokens with a good checksum that still make no sense.
func TestTokenNonsense(t *testing.T) {
	body := func(tail ...byte) []byte {
		return append(append([]byte{tokenVersion}, make([]byte, tokenFixed-2)...), tail...)
	}
	if _, err := ParseToken(withSum([]byte{tokenVersion + 1, 1, 2, 3})); !errs.Is(err, errs.Unsupported) {
		t.Errorf("a later version: %v", err)
	}
	if _, err := ParseToken(withSum(body(0))); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"version alone":      {tokenVersion},
		"short":              body(),
		"address missing":    body(1),
		"address cut":        body(1, addrText, 5, 'a'),
		"address form":       body(1, 99, 0, 0, 0, 0, 0, 0),
		"address form 2":     body(1, addrIPv6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		"ip cut":             body(1, addrIP, 1, 2, 3),
		"too many":           body(200),
		"more than there is": body(0, 1),
	} {
		if _, err := ParseToken(withSum(b)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add(sampleToken().String())
	f.Add(Token{}.String())
	f.Add(TokenPrefix + "aaaaaaaa")
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := ParseToken(s)
		if err != nil {
			if k := errs.KindOf(err); k != errs.Invalid && k != errs.Unsupported {
				t.Errorf("kind %v", k)
			}
			return
		}
		again, err := ParseToken(tok.String())
		if err != nil || !equalTokens(tok, again) {
			t.Errorf("%v: %+v became %+v", err, tok, again)
		}
	})
}

// FuzzTokenBody tries bodies under a good checksum, which FuzzToken would rarely make.
func FuzzTokenBody(f *testing.F) {
	f.Add([]byte{tokenVersion})
	f.Add(append([]byte{tokenVersion}, make([]byte, tokenFixed+10)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if tok, err := ParseToken(withSum(slices.Clip(b))); err == nil {
			if again, err := ParseToken(tok.String()); err != nil || !equalTokens(tok, again) {
				t.Errorf("%v: %+v became %+v", err, tok, again)
			}
		}
	})
}
