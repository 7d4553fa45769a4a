package replicate

import (
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/wire"
)

// bringMembers sends the membership entries that a peer with these heads lacks, and returns what it has then.
func (r *Replicator) bringMembers(theirs []share.Hash, send func(body []byte) error) ([]share.Hash, error) {
	heads := r.cfg.Members.Heads()
	for _, g := range inGroups(r.cfg.Members.EntriesSince(theirs)) {
		if err := send(wire.Marshal(g)); err != nil {
			return theirs, err
		}
	}
	return heads, nil
}

// merge takes over membership entries that dev brings.
func (r *Replicator) merge(dev ident.DeviceID, body []byte) error {
	var entries [][]byte
	if err := wire.Unmarshal(body, &entries); err != nil {
		return err
	}
	if _, err := r.cfg.Members.Merge(entries); err != nil {
		r.cfg.Log.Warn("membership entries refused", "device", dev.Short(), "err", err)
	}
	if !r.cfg.Members.Member(dev) { // the entries may have ended the very device that brought them
		return errs.E("replicate.merge", errs.Refused, dev.Short(), nil)
	}
	return nil
}
