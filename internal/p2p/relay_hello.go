package p2p

import (
	"errors"
	"io"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/shelffs/shelf/internal/ident"
)

// relayProtocol is one relayHello to the relay, and one byte back. It is said on each connection before anything
// else, and again to see whether the relay is there.
const relayProtocol protocol.ID = "/shelf/relay/1"

// The answers.
const (
	relayUnknown = 0 // another secret
	relayWelcome = 1
	relayAbsent  = 2 // the device that is sought has not taken its place, nor has it in relayPatience
)

// relayVerb is what somebody wants of a relay.
type relayVerb byte

const (
	relayEnters relayVerb = 0 // to take a place
	relayWaits  relayVerb = 1 // nothing: he has taken his place
	relaySeeks  relayVerb = 2 // to call a device as soon as it has taken its place
)

// relayHello is 16 bytes of secret, the verb and 32 bytes of who is sought, zeros when nobody is.
type relayHello struct {
	secret relaySecret
	verb   relayVerb
	sought peer.ID
}

const relayHelloSize = len(relaySecret{}) + 1 + len(ident.TransportKey{})

func (r relayHello) encode() []byte {
	key, _ := transportKey(r.sought)
	return append(append(r.secret[:], byte(r.verb)), key[:]...)
}

func readRelayHello(from io.Reader) (r relayHello, err error) {
	var b [relayHelloSize]byte
	if _, err := io.ReadFull(from, b[:]); err != nil {
		return r, err
	}
	n := copy(r.secret[:], b[:])
	if r.verb = relayVerb(b[n]); r.verb > relaySeeks {
		return r, errors.New("an unknown verb")
	}
	if r.verb == relaySeeks {
		r.sought, err = peerID(ident.TransportKey(b[n+1:]))
	}
	return r, err
}
