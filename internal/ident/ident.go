// Package ident names devices, accounts and shares, and signs for them.
//
// A device has three key pairs: a record-signing key (Ed25519, its public half is the
// DeviceID), a transport key (Ed25519, the libp2p peer id) and a KEM key to which others
// wrap secrets. They are kept apart so that each can be used for one thing only.
package ident

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
)

// DeviceID is the public half of a device's record-signing key.
type DeviceID [32]byte

// AccountID and ShareID are SHA-256 of the genesis entry of their log.
type (
	AccountID [32]byte
	ShareID   [32]byte
)

// TransportKey is the public half of a device's transport key (raw Ed25519).
type TransportKey [32]byte

var enc = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (d DeviceID) String() string  { return enc.EncodeToString(d[:]) }
func (a AccountID) String() string { return enc.EncodeToString(a[:]) }
func (s ShareID) String() string   { return enc.EncodeToString(s[:]) }

// Short is the first 7 characters: enough for a person to tell own devices apart.
func (d DeviceID) Short() string { return d.String()[:7] }

// IsZero reports whether d names no device.
func (d DeviceID) IsZero() bool { return d == DeviceID{} }

// ParseDeviceID is the inverse of DeviceID.String; it ignores case.
func ParseDeviceID(s string) (DeviceID, error) {
	b, err := enc.DecodeString(strings.ToLower(s))
	if err != nil || len(b) != 32 {
		return DeviceID{}, errs.E("ident.ParseDeviceID", errs.Invalid, s, err)
	}
	return DeviceID(b), nil
}

// Writer is one incarnation of a device: a log of its own with sequence numbers from 1.
// A device that finds itself restored or cloned begins a new one.
type Writer struct {
	Device      DeviceID
	Incarnation uint32
}

// Append appends the 36-byte form (device, then incarnation big-endian).
func (w Writer) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, w.Device[:]...), w.Incarnation)
}

// SigType separates the purposes of signatures made by one key.
type SigType string

const (
	SigBatch       SigType = "batch"       // a batch of namespace records
	SigIncarnation SigType = "incarnation" // a restored device writes under a new number
	SigLogEntry    SigType = "logentry"    // an entry of an account or share log
	SigJoin        SigType = "join"        // a device asking to join
)

func sigInput(t SigType, body []byte) []byte {
	return append(append([]byte("shelf1/sig/"+string(t)), 0), body...)
}

// Sign signs "shelf1/sig/" || t || 0x00 || body.
func Sign(key ed25519.PrivateKey, t SigType, body []byte) []byte {
	return ed25519.Sign(key, sigInput(t, body))
}

// Verify checks a signature made by Sign over the bytes as they were received.
func Verify(pub []byte, t SigType, body, sig []byte) bool {
	return len(pub) == ed25519.PublicKeySize && len(sig) == ed25519.SignatureSize && ed25519.Verify(pub, sigInput(t, body), sig)
}

// NewKey makes an Ed25519 key pair from crypto/rand.
func NewKey() ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil { // crypto/rand never fails on supported systems
		panic("ident: " + err.Error())
	}
	return k
}

// DeviceIDOf is the DeviceID of a record-signing key.
func DeviceIDOf(k ed25519.PrivateKey) DeviceID { return DeviceID(k.Public().(ed25519.PublicKey)) }
