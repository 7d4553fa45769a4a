package share

import (
	"crypto/hpke"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// Device is one device of the account as the log describes it.
type Device struct {
	ID        ident.DeviceID
	Transport ident.TransportKey
	Name      string
	Added     time.Time      // by the clock of the device that admitted it
	AddedBy   ident.DeviceID // zero for the first device, which the recovery phrase admitted
	Revoked   bool
	kem       []byte
}

// view is one consistent state of both logs. It is immutable.
type view struct {
	account, share *log
	devices        map[ident.DeviceID]Device
	order          []ident.DeviceID // by admission
	transports     map[ident.TransportKey]ident.DeviceID
	secrets        map[uint32][32]byte // WS_e by epoch, as far as this device was granted them
	released       map[ident.Writer]uint64
}

// recipient is whoever can be granted a secret: a device, or the recovery phrase.
type recipient struct {
	id  ident.DeviceID
	kem hpke.PrivateKey
}

// newView computes the state of two logs as seen by a recipient. Both logs hold at least
// their first entry. Corrupt if they do not belong together or the share's secret is not
// among them; both cannot happen to logs that were accepted once.
func newView(account, share *log, self recipient) (*view, error) {
	const op = "share.view"
	v := &view{account: account, share: share, devices: map[ident.DeviceID]Device{},
		transports: map[ident.TransportKey]ident.DeviceID{}, secrets: map[uint32][32]byte{}, released: map[ident.Writer]uint64{}}
	settled := settle(account)
	for _, i := range settled.order {
		if settled.effect[i] {
			v.apply(account.nodes[i])
		}
	}
	for id := range settled.removed {
		if d, ok := v.devices[id]; ok {
			d.Revoked = true
			v.devices[id] = d
		}
	}
	gen, ok := share.genesis().data.(*shareGenesis)
	if !ok || ident.AccountID(gen.Account) != v.accountID() {
		return nil, errs.E(op, errs.Corrupt, "the share is of another account", nil)
	}
	if first, _ := account.genesis().adds(); share.genesis().signer != ident.DeviceID(first.Signing) {
		return nil, errs.E(op, errs.Corrupt, "the share was not made by the account's first device", nil)
	}
	for _, n := range share.nodes {
		if g, ok := n.data.(*grant); ok && ident.DeviceID(g.Recipient) == self.id && g.Epoch == 1 {
			v.open(g, gen, self)
		}
	}
	if _, ok := v.secrets[1]; !ok {
		return nil, errs.E(op, errs.Corrupt, "no usable key of the share for this device", nil)
	}
	return v, nil
}

// apply folds one account entry that is in effect.
func (v *view) apply(n *node) {
	if d, ok := n.adds(); ok {
		id := ident.DeviceID(d.Signing)
		if _, there := v.devices[id]; there {
			return // admitted twice, by two devices that did not know of each other
		}
		dev := Device{ID: id, Transport: ident.TransportKey(d.Transport), Name: d.Name, Added: n.at, kem: d.KEM}
		if n.kind != kindAccount {
			dev.AddedBy = n.signer
		}
		v.devices[id] = dev
		v.order = append(v.order, id)
		if _, taken := v.transports[dev.Transport]; !taken {
			v.transports[dev.Transport] = id
		}
		return
	}
	switch p := n.data.(type) {
	case *rename:
		if d, there := v.devices[ident.DeviceID(p.Device)]; there {
			d.Name = p.Name
			v.devices[d.ID] = d
		}
	case *release:
		v.released[p.writer()] = max(v.released[p.writer()], p.Seq)
	}
}

// open unwraps a grant if it holds what the share's first entry committed to. The
// commitment alone decides, so it does not matter who made the grant; one that does not hold
// is ignored, since another may.
func (v *view) open(g *grant, gen *shareGenesis, self recipient) {
	if _, have := v.secrets[g.Epoch]; have {
		return
	}
	secret, err := unwrap(self.kem, v.shareID(), g.Epoch, self.id, g.Wrap)
	if err == nil && commitment(secret, v.accountID(), g.Epoch) == [32]byte(gen.Commitment) {
		v.secrets[g.Epoch] = secret
	}
}

func (v *view) accountID() ident.AccountID { return ident.AccountID(v.account.id()) }

func (v *view) shareID() ident.ShareID { return ident.ShareID(v.share.id()) }

// rootKey is the public half of the recovery phrase's signing key.
func (v *view) rootKey() ident.DeviceID { return v.account.genesis().signer }
