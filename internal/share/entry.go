package share

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// Hash names a log entry: SHA-256 of its bytes.
type Hash [32]byte

func (h Hash) short() string { return hex.EncodeToString(h[:6]) }

func (h Hash) compare(o Hash) int { return bytes.Compare(h[:], o[:]) }

// Limits of one entry.
const (
	maxEntry = 16 << 10 // bytes
	maxPrev  = 64       // heads that one entry may join
)

const entryVersion = 1

// logKind says which log an entry is of.
type logKind uint8

const (
	accountLog logKind = 1
	shareLog   logKind = 2
)

// kind says what an entry does. The numbers are stored and sent: append only.
type kind uint8

const (
	kindAccount kind = 1 // first entry of an account log
	kindAdd     kind = 2 // admits a device
	kindRevoke  kind = 3 // ends a device
	kindRename  kind = 4 // gives a device another name
	kindRelease kind = 5 // lets a burst of changes pass that devices hold back

	kindShare kind = 16 // first entry of a share log
	kindGrant kind = 17 // an epoch's secret, wrapped for one recipient
)

// envelope is an entry as it is stored and sent:
// CBOR [body bstr, signature bstr(64)], the signature made over "logentry" and body.
type envelope struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  []byte
}

// body is what is signed. Prev holds the hashes of the heads that the signer knew, in
// ascending order; it is empty only in a first entry. Data is the CBOR of the kind's payload.
type body struct {
	_       struct{} `cbor:",toarray"`
	Version uint8
	Log     logKind
	Prev    [][]byte
	Signer  []byte // 32 bytes: a device id, or the account's root key
	Kind    kind
	At      int64 // milliseconds since 1970 by the signer's clock: shown to people, decides nothing
	Data    []byte
}

// entry is a decoded entry whose signature has been verified with the key it names.
// Whether that key may speak in the log is decided by the log.
type entry struct {
	hash   Hash
	raw    []byte
	log    logKind
	prev   []Hash
	signer ident.DeviceID
	kind   kind
	at     time.Time
	data   payload
}

// removes reports whom the entry removes, if it is a removal.
func (e *entry) removes() (ident.DeviceID, bool) {
	if p, ok := e.data.(*removal); ok {
		return ident.DeviceID(p.Device), true
	}
	return ident.DeviceID{}, false
}

// adds reports whom the entry admits, if it admits a device.
func (e *entry) adds() (*devicePayload, bool) {
	switch p := e.data.(type) {
	case *accountGenesis:
		return &p.Device, true
	case *devicePayload:
		return p, true
	}
	return nil, false
}

// newEntry builds and signs an entry. prev is sorted in place.
func newEntry(key ed25519.PrivateKey, log logKind, prev []Hash, k kind, at time.Time, data payload) (*entry, error) {
	slices.SortFunc(prev, Hash.compare)
	b := body{Version: entryVersion, Log: log, Prev: [][]byte{}, Signer: key.Public().(ed25519.PublicKey),
		Kind: k, At: at.UnixMilli(), Data: wire.Marshal(data)}
	for i := range prev {
		b.Prev = append(b.Prev, prev[i][:])
	}
	signed := wire.Marshal(b)
	raw := wire.Marshal(envelope{Body: signed, Sig: ident.Sign(key, ident.SigLogEntry, signed)})
	return parseEntry(raw) // the same checks as for anybody's entry
}

// parseEntry decodes and verifies one entry. Everything about it that needs no log is
// checked here: canonical form, limits, payload, signature. An entry made by a newer
// version is Unsupported; all other failures are Corrupt.
func parseEntry(raw []byte) (*entry, error) {
	bad := func(why string) (*entry, error) {
		return nil, errs.E("share.parseEntry", errs.Corrupt, why, nil)
	}
	if len(raw) > maxEntry {
		return bad("over 16 KiB")
	}
	var env envelope
	if wire.Unmarshal(raw, &env) != nil || !bytes.Equal(wire.Marshal(env), raw) {
		return bad("not the canonical form")
	}
	var b body
	if wire.Unmarshal(env.Body, &b) != nil || !bytes.Equal(wire.Marshal(b), env.Body) {
		return bad("body is not the canonical form")
	}
	if !ident.Verify(b.Signer, ident.SigLogEntry, env.Body, env.Sig) {
		return bad("signature")
	}
	if b.Version != entryVersion {
		return nil, errs.E("share.parseEntry", errs.Unsupported, "an entry written by a newer Shelf: upgrade this device", nil)
	}
	e := &entry{hash: sha256.Sum256(raw), raw: bytes.Clone(raw), log: b.Log, signer: ident.DeviceID(b.Signer),
		kind: b.Kind, at: time.UnixMilli(b.At)}
	if len(b.Prev) > maxPrev {
		return bad("too many predecessors")
	}
	for i, p := range b.Prev {
		if len(p) != len(Hash{}) || i > 0 && bytes.Compare(b.Prev[i-1], p) >= 0 {
			return bad("predecessors")
		}
		e.prev = append(e.prev, Hash(p))
	}
	data, genesis, err := parsePayload(b.Log, b.Kind, b.Data)
	if err != nil {
		return nil, err
	}
	if genesis != (len(b.Prev) == 0) {
		return bad("first entry and predecessors do not go together")
	}
	e.data = data
	return e, nil
}
