package namespace

import (
	"crypto/sha256"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// A replica without a Sealer is blind: it runs the causal register store alone. It keeps and
// passes on records of which it sees the register's hidden name, the dot, the past and the
// class, and can open none; it shows nothing and writes nothing. A relay or a vault holds one.

func (r *Replica) blind() bool { return r.cfg.Sealer == nil }

// mute reports whether this device can write nothing.
func (r *Replica) mute() bool { return r.blind() || !r.cfg.Writes(r.cfg.Self) }

// sealed is a record as a blind replica holds it.
func (x *record) sealedVersion(d Dot, raw []byte) verified {
	return verified{
		id: regID{kind: regBlind, sub: string(x.register[:])},
		v:  &merge.Version{Dot: d, Past: x.past, Class: x.class, Value: string(raw)},
	}
}

// record returns the bytes of a live version.
func (r *Replica) record(id regID, v *merge.Version) []byte {
	if id.kind == regBlind {
		return []byte(v.Value)
	}
	return encodeRecord(r.cfg.Sealer, id, v)
}

func cannotSee(op string) error { return errs.E(op, errs.Unsupported, "this device has no key", nil) }

// shareName is the share as its replicas name it to each other.
func (r *Replica) shareName() [16]byte {
	sum := sha256.Sum256(append([]byte("shelf1/share\x00"), r.cfg.Share[:]...))
	return [16]byte(sum[:16])
}
