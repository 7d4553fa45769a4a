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

// merge takes over membership entries that dev brings. whole: all of them, so that whom dev knows is known here, too.
func (r *Replicator) merge(dev ident.DeviceID, body []byte) (whole bool, err error) {
	var entries [][]byte
	if err := wire.Unmarshal(body, &entries); err != nil {
		return false, err
	}
	_, refused := r.cfg.Members.Merge(entries)
	if refused != nil {
		r.cfg.Log.Warn("membership entries refused", "device", dev.Short(), "err", refused)
	}
	if !r.cfg.Members.Member(dev) { // the entries may have ended the very device that brought them
		return false, errs.E("replicate.merge", errs.Refused, dev.Short(), nil)
	}
	return refused == nil, nil
}
