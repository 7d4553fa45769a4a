package share

import (
	"crypto/hpke"
	"encoding/binary"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kdf"
)

// Secrets are wrapped with HPKE (RFC 9180) in base mode: ML-KEM-768 + X25519, HKDF-SHA-256,
// AES-256-GCM, one message per encapsulation. A wrap is enc || ciphertext. Its info is the
// label, the share's id, the epoch and the recipient, so a wrap moved to another share,
// epoch or recipient does not open. Who made it is said by the signed log entry around it.

func newKEM() hpke.PrivateKey {
	k, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil { // crypto/rand never fails on supported systems
		panic("share: " + err.Error())
	}
	return k
}

func wrapInfo(share ident.ShareID, epoch uint32, recipient ident.DeviceID) []byte {
	b := append([]byte(kdf.ShareWrap), 0)
	b = append(b, share[:]...)
	b = binary.BigEndian.AppendUint32(b, epoch)
	return append(b, recipient[:]...)
}

// wrap seals an epoch's secret for one recipient.
func wrap(kem []byte, share ident.ShareID, epoch uint32, recipient ident.DeviceID, secret [32]byte) ([]byte, error) {
	pub, err := hpke.MLKEM768X25519().NewPublicKey(kem)
	if err != nil {
		return nil, errs.E("share.wrap", errs.Invalid, "key of the recipient", err)
	}
	out, err := hpke.Seal(pub, hpke.HKDFSHA256(), hpke.AES256GCM(), wrapInfo(share, epoch, recipient), secret[:])
	if err != nil {
		return nil, errs.E("share.wrap", errs.Other, "", err)
	}
	return out, nil
}

// unwrap opens a wrap. All failures are Corrupt.
func unwrap(key hpke.PrivateKey, share ident.ShareID, epoch uint32, recipient ident.DeviceID, sealed []byte) ([32]byte, error) {
	b, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), wrapInfo(share, epoch, recipient), sealed)
	if err != nil || len(b) != 32 {
		return [32]byte{}, errs.E("share.unwrap", errs.Corrupt, "", nil)
	}
	return [32]byte(b), nil
}

// commitment is what the log says about an epoch's secret without revealing it.
func commitment(secret [32]byte, account ident.AccountID, epoch uint32) [32]byte {
	return kdf.Derive(secret[:], kdf.EpochCheck, account[:], binary.BigEndian.AppendUint32(nil, epoch))
}

// readKey is RK_e of a share.
func readKey(secret [32]byte, share ident.ShareID, epoch uint32) [32]byte {
	return kdf.Derive(secret[:], kdf.ShareRead, share[:], binary.BigEndian.AppendUint32(nil, epoch))
}

// blindKey is BK_e of a share, from RK_e.
func blindKey(read [32]byte, share ident.ShareID, epoch uint32) [32]byte {
	return kdf.Derive(read[:], kdf.ShareBlind, share[:], binary.BigEndian.AppendUint32(nil, epoch))
}
