package share

import (
	"crypto/ed25519"
	"crypto/hpke"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/wire"
)

// Tables of the caller's store. The account exists when the row of own keys does; it is
// written in one batch with the logs, so there is no half-made account.
const (
	tableAccount = 'A' // u64 index → entry of the account log
	tableShare   = 'S' // u64 index → entry of the share log
	tableKeys    = 'K' // "self" → own keys; "join" → own keys of a join in progress
	tableInvites = 'I' // invitation id → invitation
)

const rowVersion = 1

// deviceKeys are a device's three key pairs.
type deviceKeys struct {
	sign      ed25519.PrivateKey
	transport ed25519.PrivateKey
	kem       hpke.PrivateKey
}

func newDeviceKeys() deviceKeys {
	return deviceKeys{sign: ident.NewKey(), transport: ident.NewKey(), kem: newKEM()}
}

func (k deviceKeys) id() ident.DeviceID { return ident.DeviceIDOf(k.sign) }

func (k deviceKeys) recipient() recipient { return recipient{id: k.id(), kem: k.kem} }

// describe is what the device says about itself when it is admitted.
func (k deviceKeys) describe(name string) devicePayload {
	return devicePayload{Signing: k.sign.Public().(ed25519.PublicKey), Transport: k.transport.Public().(ed25519.PublicKey),
		KEM: k.kem.PublicKey().Bytes(), Name: name}
}

// seeds is deviceKeys at rest: 32 bytes each.
type seeds struct {
	_         struct{} `cbor:",toarray"`
	Sign      []byte
	Transport []byte
	KEM       []byte
}

// selfRow says who this device is.
type selfRow struct {
	_       struct{} `cbor:",toarray"`
	Version uint8
	Keys    seeds
	Account []byte
	Share   []byte
}

// joinRow says who this device will be once it has joined.
type joinRow struct {
	_       struct{} `cbor:",toarray"`
	Version uint8
	Keys    seeds
	Inviter []byte // transport key of the device that it asks
	Invite  []byte // the latest invitation
}

func (k deviceKeys) seeds() seeds {
	kem, err := k.kem.Bytes()
	if err != nil { // only for keys that were not made from a seed
		panic("share: " + err.Error())
	}
	return seeds{Sign: k.sign.Seed(), Transport: k.transport.Seed(), KEM: kem}
}

func (r seeds) keys() (deviceKeys, error) {
	kem, err := hpke.MLKEM768X25519().NewPrivateKey(r.KEM)
	if err != nil || len(r.Sign) != ed25519.SeedSize || len(r.Transport) != ed25519.SeedSize {
		return deviceKeys{}, errs.E("share.keys", errs.Corrupt, "own keys", err)
	}
	return deviceKeys{sign: ed25519.NewKeyFromSeed(r.Sign), transport: ed25519.NewKeyFromSeed(r.Transport), kem: kem}, nil
}

func selfKey(db *kv.DB) kv.Key { return db.Key(tableKeys, kv.Plain([]byte("self"))) }

func joinKey(db *kv.DB) kv.Key { return db.Key(tableKeys, kv.Plain([]byte("join"))) }

func inviteKey(db *kv.DB, id inviteID) kv.Key { return db.Key(tableInvites, kv.Plain(id[:])) }

// getRow reads and decodes a row. NotExist if there is none; a row of a later version is
// Unsupported.
func getRow[T any](db *kv.DB, k kv.Key, version func(*T) uint8) (T, error) {
	var row T
	b, err := db.Get(k)
	if err != nil {
		return row, err
	}
	return row, decodeRow(b, &row, version)
}

func decodeRow[T any](b []byte, row *T, version func(*T) uint8) error {
	if err := wire.Unmarshal(b, row); err != nil {
		return errs.E("share.row", errs.Corrupt, "", err)
	}
	if version(row) != rowVersion {
		return errs.E("share.row", errs.Unsupported, "written by a newer Shelf: upgrade this device", nil)
	}
	return nil
}

func selfVersion(r *selfRow) uint8 { return r.Version }

func joinRowVersion(r *joinRow) uint8 { return r.Version }

// putEntries adds to the batch the entries that next has and old has not.
func putEntries(db *kv.DB, b *kv.Batch, table byte, old, next *log) error {
	for i := len(old.nodes); i < len(next.nodes); i++ {
		if err := b.Set(db.Key(table, kv.U64(uint64(i))), next.nodes[i].raw); err != nil {
			return err
		}
	}
	return nil
}

// loadEntries reads the entries of a table in the order in which they were accepted.
func loadEntries(db *kv.DB, table byte) ([]*entry, error) {
	var out []*entry
	var bad error
	err := db.Scan(db.Key(table), func(_ kv.Key, raw []byte) bool {
		e, err := parseEntry(raw)
		if err != nil {
			bad = err
			return false
		}
		out = append(out, e)
		return true
	})
	if err == nil {
		err = bad
	}
	return out, err
}
