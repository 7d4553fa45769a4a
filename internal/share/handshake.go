package share

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kdf"
	"github.com/shelffs/shelf/internal/wire"
)

// JoinProtocol is the name of the protocol that ServeJoin and Join speak.
const JoinProtocol = "/shelf/join/1"

// The join protocol. J is the joining device, I the inviting one; the stream is already
// encrypted and both know the other's transport key from it. Each message is one frame,
// payload || MAC, where MAC = HMAC-SHA-256(key of the direction, transcript), and the
// transcript is a hash over both transport keys and all payloads so far, this one included.
//
//	J → I  hello      u8 version | invitation id 32 | nonce 32 | SHA-256 of the device part below
//	I → J  challenge  nonce 32
//	J → I  offer      CBOR [device: CBOR of keys and name, signature of the transcript so far and device]
//	                  here both show the code, and a person at I decides
//	I → J  verdict    CBOR [AccountID, ShareID, number of frames that follow]
//	I → J  entries    CBOR [entry …]; the new device's admission and its wrapped key are among them
//	J → I  done       empty: the account is durable on the new device
//
// The keys of both directions and of the code come from the token's secret. Instead of any
// message either side may send a refusal, a frame of one byte: a Reason. It is not
// authenticated beyond the stream; it can only end the conversation.
//
// J commits to its keys before it sees I's nonce, and I's nonce comes after J's: neither
// can search for keys that give a wanted code.
const joinVersion = 1

// Times and sizes.
const (
	stepTime    = 10 * time.Second // for one step of machines
	personTime  = 10 * time.Minute // for a person to decide
	finishTime  = 30 * time.Second // for the new device to store its account
	hangUpTime  = 2 * time.Second  // for a refused asker to hang up
	nonceLen    = 32
	helloLen    = 1 + 32 + nonceLen + sha256.Size
	macLen      = sha256.Size
	maxOffer    = 2 << 10
	maxVerdict  = 256
	entryFrame  = 256 << 10 // entries are packed into frames of about this size
	maxJoinData = 64 << 20  // all entries together
)

// talk is one conversation, on either side.
type talk struct {
	s          wire.Stream
	transcript [32]byte
	ask, give  [32]byte // MAC keys: from the joining, from the inviting side
	code       [32]byte
}

func newTalk(s wire.Stream, inviter, joiner ident.TransportKey) *talk {
	t := &talk{s: s}
	t.note([]byte(JoinProtocol))
	t.note(inviter[:])
	t.note(joiner[:])
	return t
}

// unlock derives the keys from the token's secret.
func (t *talk) unlock(secret []byte) {
	t.ask = kdf.Derive(secret, kdf.InviteAsk)
	t.give = kdf.Derive(secret, kdf.InviteGive)
	t.code = kdf.Derive(secret, kdf.InviteCode)
}

// note adds a payload to the transcript.
func (t *talk) note(payload []byte) {
	b := append(t.transcript[:len(t.transcript):len(t.transcript)], binary.BigEndian.AppendUint32(nil, uint32(len(payload)))...)
	t.transcript = sha256.Sum256(append(b, payload...))
}

func (t *talk) mac(key [32]byte) []byte {
	m := hmac.New(sha256.New, key[:])
	m.Write(t.transcript[:])
	return m.Sum(nil)
}

// send sends a payload with its proof.
func (t *talk) send(key [32]byte, payload []byte) error {
	t.note(payload)
	if err := wire.WriteFrame(t.s, payload, t.mac(key)); err != nil {
		return broken("share.send", err)
	}
	return nil
}

// receive reads a frame with a payload of at most limit bytes; its proof is not checked yet.
func (t *talk) receive(limit int) (payload, mac []byte, err error) {
	f, err := wire.ReadFrame(t.s, limit+macLen)
	if err != nil {
		return nil, nil, broken("share.receive", err)
	}
	if len(f) == 1 {
		return nil, nil, refused("share.receive", Reason(f[0]))
	}
	if len(f) < macLen {
		return nil, nil, refused("share.receive", Malformed)
	}
	return f[:len(f)-macLen], f[len(f)-macLen:], nil
}

// check adds a received payload to the transcript and checks its proof.
func (t *talk) check(key [32]byte, payload, mac []byte) error {
	t.note(payload)
	if !hmac.Equal(mac, t.mac(key)) {
		return refused("share.check", Unproven)
	}
	return nil
}

// expect receives and checks.
func (t *talk) expect(key [32]byte, limit int) ([]byte, error) {
	payload, mac, err := t.receive(limit)
	if err != nil {
		return nil, err
	}
	return payload, t.check(key, payload, mac)
}

// shortCode is the six digits that both screens show, from the transcript so far.
func (t *talk) shortCode() string {
	d := kdf.Derive(t.code[:], kdf.InviteCode, t.transcript[:])
	n := binary.BigEndian.Uint64(d[:]) % 1_000_000
	return fmt.Sprintf("%03d %03d", n/1000, n%1000)
}

// proofBody is what the joining device signs: that these keys take part in this conversation.
func (t *talk) proofBody(device []byte) []byte {
	return append(t.transcript[:len(t.transcript):len(t.transcript)], device...)
}

// offerMsg and verdictMsg are the messages with structure.
type offerMsg struct {
	_      struct{} `cbor:",toarray"`
	Device []byte
	Sig    []byte
}

type verdictMsg struct {
	_       struct{} `cbor:",toarray"`
	Account []byte
	Share   []byte
	Frames  uint32
}

// refused is the error for a decision; its kind is Refused, except for messages that make
// no sense (Protocol) and versions that do not meet (Unsupported).
func refused(op string, r Reason) error {
	kind := errs.Refused
	switch r {
	case Malformed:
		kind = errs.Protocol
	case OtherVersion:
		kind = errs.Unsupported
	case TooMany:
		kind = errs.Exhausted
	}
	return errs.E(op, kind, "", r)
}

// broken is the error for a connection that broke: Timeout or Offline.
func broken(op string, err error) error {
	switch {
	case errs.Is(err, errs.Protocol):
		return refused(op, Malformed)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errs.E(op, errs.Timeout, "the other device does not answer", err)
	}
	return errs.E(op, errs.Offline, "the connection to the other device broke", err)
}
