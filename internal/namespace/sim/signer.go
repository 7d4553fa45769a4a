package sim

import (
	"crypto/ed25519"
	"sync"

	"github.com/shelffs/shelf/internal/ident"
)

// signer signs as devices do, and remembers what was judged: all devices of a play, and each
// of them often, judge the same signatures, which would take a third of its time.
type signer struct {
	key  ed25519.PrivateKey
	seen *signatures
}

func (s signer) SignBatch(header []byte) []byte { return ident.Sign(s.key, ident.SigBatch, header) }

func (s signer) VerifyBatch(by ident.DeviceID, header, sig []byte) bool {
	return s.seen.verify(judged{by, string(header), string(sig)})
}

// signatures is what the devices of a play have judged.
type signatures struct {
	mu   sync.Mutex
	good map[judged]bool
}

// judged is a signature, by whom it is said to be, and what it is said to sign.
type judged struct {
	by          ident.DeviceID
	header, sig string
}

func (s *signatures) verify(j judged) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	good, ok := s.good[j]
	if !ok {
		good = ident.Verify(j.by[:], ident.SigBatch, []byte(j.header), []byte(j.sig))
		if s.good == nil {
			s.good = map[judged]bool{}
		}
		s.good[j] = good
	}
	return good
}
