package replicate

import (
	"crypto/hmac"
	"crypto/rand"
	"io"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kdf"
	"github.com/shelffs/shelf/internal/wire"
)

// handshakeTime bounds everything before the first record.
const handshakeTime = 10 * time.Second

const (
	version  = 1
	nonceLen = 16
	proofLen = 32
)

// handshake proves to both sides that the other knows the share's blind key BK_e, without
// saying the share's id. The proof covers both device ids, both nonces and the role, so it
// can be neither relayed nor reflected. Messages, each one frame:
//
//	opener   → acceptor   u8 version | nonce 16
//	acceptor → opener     nonce 16 | proof 32
//	opener   → acceptor   proof 32
func handshake(s wire.Stream, opener bool, self, peer ident.DeviceID, blind [32]byte) error {
	const op = "replicate.handshake"
	_ = s.SetDeadline(time.Now().Add(handshakeTime))
	mine := make([]byte, nonceLen)
	rand.Read(mine)

	if opener {
		if err := wire.WriteFrame(s, []byte{version}, mine); err != nil {
			return err
		}
		f, err := readExactly(s, nonceLen+proofLen)
		if err != nil {
			return err
		}
		if !hmac.Equal(f[nonceLen:], proof(blind, 'a', self, peer, mine, f[:nonceLen])) {
			return errs.E(op, errs.Refused, peer.Short(), nil)
		}
		if err := wire.WriteFrame(s, proof(blind, 'o', self, peer, mine, f[:nonceLen])); err != nil {
			return err
		}
		return s.SetDeadline(time.Time{})
	}

	f, err := readExactly(s, 1+nonceLen)
	if err != nil {
		return err
	}
	if f[0] != version {
		return errs.E(op, errs.Unsupported, "a protocol version of another Shelf: upgrade the older device", nil)
	}
	if err := wire.WriteFrame(s, mine, proof(blind, 'a', peer, self, f[1:], mine)); err != nil {
		return err
	}
	p, err := readExactly(s, proofLen)
	if err != nil {
		return err
	}
	if !hmac.Equal(p, proof(blind, 'o', peer, self, f[1:], mine)) {
		return errs.E(op, errs.Refused, peer.Short(), nil)
	}
	return s.SetDeadline(time.Time{})
}

func proof(blind [32]byte, role byte, opener, acceptor ident.DeviceID, nonceO, nonceA []byte) []byte {
	p := kdf.Derive(blind[:], kdf.ShareHello, []byte{role}, opener[:], acceptor[:], nonceO, nonceA)
	return p[:]
}

func readExactly(r io.Reader, n int) ([]byte, error) {
	f, err := wire.ReadFrame(r, n)
	if err == nil && len(f) != n {
		err = errs.E("replicate.handshake", errs.Protocol, "message of a wrong length", nil)
	}
	return f, err
}
