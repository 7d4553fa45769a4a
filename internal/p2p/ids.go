package p2p

import (
	"crypto/ed25519"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// peerID is the libp2p name of a transport key; it contains the key.
func peerID(k ident.TransportKey) (peer.ID, error) {
	pub, err := crypto.UnmarshalEd25519PublicKey(k[:])
	if err != nil {
		return "", errs.E("p2p", errs.Invalid, "transport key", err)
	}
	id, err := peer.IDFromPublicKey(pub)
	if err != nil {
		return "", errs.E("p2p", errs.Invalid, "transport key", err)
	}
	return id, nil
}

// transportKey is the inverse of peerID; false for an id of another kind of key.
func transportKey(id peer.ID) (ident.TransportKey, bool) {
	pub, err := id.ExtractPublicKey()
	if err != nil {
		return ident.TransportKey{}, false
	}
	ed, ok := pub.(*crypto.Ed25519PublicKey)
	if !ok {
		return ident.TransportKey{}, false
	}
	raw, err := ed.Raw()
	if err != nil || len(raw) != 32 {
		return ident.TransportKey{}, false
	}
	return ident.TransportKey(raw), true
}

// TransportKeyOf is the public half of a transport key.
func TransportKeyOf(k ed25519.PrivateKey) ident.TransportKey {
	return ident.TransportKey(k.Public().(ed25519.PublicKey))
}

func privateKey(k ed25519.PrivateKey) (crypto.PrivKey, error) {
	priv, err := crypto.UnmarshalEd25519PrivateKey(k)
	if err != nil {
		return nil, errs.E("p2p", errs.Invalid, "transport key", err)
	}
	return priv, nil
}
