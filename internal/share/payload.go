package share

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"encoding/binary"
	"unicode"
	"unicode/utf8"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// MaxName is the longest device name in bytes.
const MaxName = 64

// maxWrap bounds a wrapped secret: 1120 bytes of encapsulation, 32 of secret, 16 of tag, and room.
const maxWrap = 2 << 10

// payload is what an entry's Data decodes to.
type payload interface {
	// check reports whether the fields have sane sizes and contents.
	check() bool
}

// accountGenesis is the first entry of an account log, signed by the root key.
type accountGenesis struct {
	_        struct{} `cbor:",toarray"`
	Root     []byte   // Ed25519 public key of the recovery phrase: the signer
	Recovery []byte   // KEM public key of the recovery phrase
	Device   devicePayload
}

// devicePayload admits a device; a joining device sends the same bytes about itself.
type devicePayload struct {
	_         struct{} `cbor:",toarray"`
	Signing   []byte   // Ed25519 public key: the DeviceID
	Transport []byte   // Ed25519 public key: the peer id
	KEM       []byte   // ML-KEM-768 + X25519 public key: others wrap to it
	Name      string
}

// removal ends a device for good: its keys never come back.
type removal struct {
	_      struct{} `cbor:",toarray"`
	Device []byte
}

// rename gives a device another name.
type rename struct {
	_      struct{} `cbor:",toarray"`
	Device []byte
	Name   string
}

// release lets changes of a writer pass that devices hold back because they are so many.
type release struct {
	_      struct{} `cbor:",toarray"`
	Writer []byte   // device 32, u32be incarnation
	Seq    uint64   // up to this one
}

// shareGenesis is the first entry of a share log, signed by a device of the owner.
type shareGenesis struct {
	_          struct{} `cbor:",toarray"`
	Account    []byte   // the owner's AccountID
	Name       string
	Commitment []byte // D(WS_1, EpochCheck, AccountID || epoch): no device can be given another secret
	Policy     uint64 // no bits are defined yet; must be zero
}

// grant gives one recipient an epoch's secret.
type grant struct {
	_         struct{} `cbor:",toarray"`
	Epoch     uint32
	Recipient []byte // a DeviceID, or the account's root key
	Wrap      []byte
}

func (p *accountGenesis) check() bool {
	return len(p.Root) == ed25519.PublicKeySize && validKEM(p.Recovery) && p.Device.check() && !bytes.Equal(p.Root, p.Device.Signing)
}

func (p *devicePayload) check() bool {
	return len(p.Signing) == ed25519.PublicKeySize && len(p.Transport) == ed25519.PublicKeySize &&
		!bytes.Equal(p.Signing, p.Transport) && validKEM(p.KEM) && validName(p.Name)
}

func (p *removal) check() bool { return len(p.Device) == len(ident.DeviceID{}) }

func (p *rename) check() bool { return len(p.Device) == len(ident.DeviceID{}) && validName(p.Name) }

func (p *release) check() bool { return len(p.Writer) == len(ident.DeviceID{})+4 && p.Seq > 0 }

func (p *release) writer() ident.Writer {
	n := len(ident.DeviceID{})
	return ident.Writer{Device: ident.DeviceID(p.Writer[:n]), Incarnation: binary.BigEndian.Uint32(p.Writer[n:])}
}

func (p *shareGenesis) check() bool {
	return len(p.Account) == len(ident.AccountID{}) && validName(p.Name) && len(p.Commitment) == 32 && p.Policy == 0
}

func (p *grant) check() bool {
	return p.Epoch > 0 && len(p.Recipient) == ed25519.PublicKeySize && len(p.Wrap) > 0 && len(p.Wrap) <= maxWrap
}

func validKEM(b []byte) bool {
	_, err := hpke.MLKEM768X25519().NewPublicKey(b)
	return err == nil
}

// validName accepts what can be shown on a terminal and used within a file name without
// deceiving anybody: printable, no slash, no leading or trailing space, no invisible or
// direction-changing characters, 1 to 64 bytes.
func validName(s string) bool {
	if s == "" || len(s) > MaxName || !utf8.ValidString(s) || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for _, r := range s {
		if r == '/' || r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// CheckName reports Invalid for a name that a device cannot have.
func CheckName(name string) error {
	if !validName(name) {
		return errs.E("share.CheckName", errs.Invalid, "a device name has 1 to 64 bytes, all printable, without slashes and without spaces at its ends", nil)
	}
	return nil
}

// parsePayload decodes the payload of a kind and says whether the kind begins a log.
func parsePayload(log logKind, k kind, data []byte) (p payload, genesis bool, err error) {
	switch {
	case log == accountLog && k == kindAccount:
		p, genesis = new(accountGenesis), true
	case log == accountLog && k == kindAdd:
		p = new(devicePayload)
	case log == accountLog && k == kindRevoke:
		p = new(removal)
	case log == accountLog && k == kindRename:
		p = new(rename)
	case log == accountLog && k == kindRelease:
		p = new(release)
	case log == shareLog && k == kindShare:
		p, genesis = new(shareGenesis), true
	case log == shareLog && k == kindGrant:
		p = new(grant)
	default:
		return nil, false, errs.E("share.parsePayload", errs.Unsupported, "a kind of entry that only a newer Shelf knows: upgrade this device", nil)
	}
	if wire.Unmarshal(data, p) != nil || !bytes.Equal(wire.Marshal(p), data) || !p.check() {
		return nil, false, errs.E("share.parsePayload", errs.Corrupt, "fields", nil)
	}
	return p, genesis, nil
}
