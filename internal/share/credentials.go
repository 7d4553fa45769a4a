package share

import (
	"crypto/sha256"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// A device that was away while another joined does not know that one, and nobody may be there to tell: the
// device that let it in has gone meanwhile. The new device then shows why it belongs, in one message:
// CBOR [entry …], each after what it builds on.

// CredentialsProtocol is the name of the protocol that is this one message, and MaxCredentials its longest.
const (
	CredentialsProtocol = "/shelf/credentials/1"
	MaxCredentials      = 256 << 10
)

// Credentials are the entries by which this device is a member: those that admit it, and all before them in
// the account's log. If they are too many only the last are given: whoever does not know this device knows
// the older ones, unless he was away for very long.
func (a *Account) Credentials() []byte {
	nodes, self := a.now.Load().account.nodes, a.keys.id()
	var need bits
	for i, n := range nodes {
		if d, ok := n.adds(); ok && ident.DeviceID(d.Signing) == self {
			need = need.with(i, n.past)
		}
	}
	var out [][]byte
	room := MaxCredentials - entryHead
	for i := len(nodes) - 1; i >= 0; i-- {
		if !need.has(i) {
			continue
		}
		if room -= len(nodes[i].raw) + entryHead; room < 0 {
			break
		}
		out = append(out, nodes[i].raw)
	}
	slices.Reverse(out)
	return wire.Marshal(out)
}

// entryHead is the most that CBOR takes for the length of an entry, or of their list.
const entryHead = 9

// Recognise hears the Credentials of a peer that is no device of the account as far as this one knows; t is
// the key that it has proved. Every entry must be one that Merge takes, in order, and all together
// must make the peer a device that is not revoked: only then, and durably, are they kept. Nothing else that
// a stranger says is. The first entry that is wrong ends the work.
// Errors: those of Merge, Protocol, and Refused if the peer is still none of us.
func (a *Account) Recognise(t ident.TransportKey, message []byte) error {
	const op = "share.Recognise"
	var entries [][]byte
	if len(message) > MaxCredentials || wire.Unmarshal(message, &entries) != nil {
		return errs.E(op, errs.Protocol, "credentials", nil)
	}
	v := a.now.Load()
	account, share := v.account.clone(), v.share
	for _, raw := range entries {
		if account.has(sha256.Sum256(raw)) {
			continue
		}
		e, err := parseEntry(raw)
		if err != nil {
			return err
		}
		if e.log != accountLog {
			return errs.E(op, errs.Corrupt, "entry of another log", nil)
		}
		if _, err := admit(account, share, e); err != nil {
			return err
		}
	}
	if len(account.nodes) > len(v.account.nodes) {
		var err error
		if v, err = newView(account, share, a.keys.recipient()); err != nil {
			return err
		}
	}
	if id, ok := v.transports[t]; !ok || v.devices[id].Revoked {
		return errs.E(op, errs.Refused, "no device of this account", nil)
	}
	_, err := a.Merge(entries)
	return err
}
