package share

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/wire"
)

// resumed returns the device that an invitation has let in, if that is id.
func (a *Account) resumed(invite inviteID, id ident.DeviceID) (Device, bool) {
	row, err := a.invite(invite)
	if err != nil || row.State != inviteAdmitted || !bytes.Equal(row.Device, id[:]) {
		return Device{}, false
	}
	return a.Device(id)
}

// letIn admits a device, under a name that no other has, grants it the share's secret and uses
// the invitation up, in one durable step. A device that is in the account already (its connection broke, and it
// came back with a newer invitation) is not admitted twice.
func (a *Account) letIn(invite inviteID, dev *devicePayload) (Device, error) {
	const op = "share.letIn"
	a.mu.Lock()
	defer a.mu.Unlock()
	row, err := a.openInvite(invite)
	if err != nil {
		return Device{}, err
	}
	v := a.now.Load()
	id := ident.DeviceID(dev.Signing)
	row.State, row.Device = inviteAdmitted, id[:]
	use := func(b *kv.Batch) error { return b.Set(inviteKey(a.db, invite), wire.Marshal(row)) }
	old, known := v.devices[id]
	if taken, ok := v.transports[ident.TransportKey(dev.Transport)]; ok && taken != id || id == v.rootKey() {
		return Device{}, refused(op, Malformed) // the keys of another device
	}
	switch {
	case !known:
		secret := v.secrets[a.Epoch()]
		w, werr := wrap(dev.KEM, v.shareID(), a.Epoch(), id, secret)
		if werr != nil {
			return Device{}, werr
		}
		added := *dev
		added.Name = v.freeName(dev.Name)
		err = a.say(use, statement{accountLog, kindAdd, &added},
			statement{shareLog, kindGrant, &grant{Epoch: a.Epoch(), Recipient: id[:], Wrap: w}})
	case old.Revoked:
		return Device{}, refused(op, Declined)
	case old.Transport != ident.TransportKey(dev.Transport) || !bytes.Equal(old.kem, dev.KEM):
		return Device{}, refused(op, Malformed)
	default:
		err = a.say(use)
	}
	if err != nil {
		return Device{}, errs.E(op, errs.Other, "", err)
	}
	d, _ := a.Device(id)
	return d, nil
}

// freeName is name, or if a device of the account has it, the first of "name-2", "name-3" … that none has.
// Two computers often have the same host name. Upper and lower case count as the same.
func (v *view) freeName(name string) string {
	taken := map[string]bool{}
	for _, d := range v.devices {
		if !d.Revoked {
			taken[strings.ToLower(d.Name)] = true
		}
	}
	free := name
	for n := 2; taken[strings.ToLower(free)]; n++ {
		number := "-" + strconv.Itoa(n)
		stem := name
		for len(stem)+len(number) > MaxName {
			_, last := utf8.DecodeLastRuneInString(stem)
			stem = stem[:len(stem)-last]
		}
		free = strings.TrimRight(stem, " ") + number
	}
	return free
}

// packEntries groups entries into frames.
func packEntries(entries [][]byte) [][]byte {
	var out [][]byte
	for len(entries) > 0 {
		n, size := 0, 0
		for n < len(entries) && (n == 0 || size+len(entries[n]) <= entryFrame) {
			size += len(entries[n])
			n++
		}
		out = append(out, wire.Marshal(entries[:n]))
		entries = entries[n:]
	}
	return out
}
