package daemon

import (
	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// What to do about a part of a home that fails its checks.
func mendStore(h config.Home) string {
	return "move " + h.Dir() + " away (and keep it), and join again from another device: shelf join TOKEN; without another device, put back a backup of it"
}

func mendCache(h config.Home) string {
	return "move " + h.CacheDir() + " away (and keep it: bytes that no other device has are in it); the rest is fetched again"
}

// storeDamaged and cacheDamaged word damage found in the home for a person, with a way out; the
// details, which say nothing to a person, go to the log. Other errors stay what they are.
func (p *parts) storeDamaged(err error) error {
	return p.damaged(err, "the store of this device, "+p.home.StoreDir()+",", mendStore(p.home))
}

func (p *parts) cacheDamaged(err error) error {
	return p.damaged(err, "the cache of this device, "+p.home.CacheDir()+",", mendCache(p.home))
}

func (p *parts) damaged(err error, what, hint string) error {
	if !errs.Is(err, errs.Corrupt) {
		return err
	}
	p.log.Error("a part of the home is damaged", "err", err)
	return controlapi.E(controlapi.SlugOf(errs.Corrupt), hint, "%s is damaged", what)
}
