package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/holes"
	"github.com/shelffs/shelf/fs/journal"
	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/guest"
	"github.com/shelffs/shelf/internal/hydration"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/keystore"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/placement"
	"github.com/shelffs/shelf/internal/replicate"
	"github.com/shelffs/shelf/internal/share"
)

// epoch is the only one so far: rotation brings others, in the same log.
const epoch = 1

// parts are the open rooms of one home. They are closed in the reverse order of their opening.
type parts struct {
	home config.Home
	log  *slog.Logger

	meta       *kv.DB
	account    *share.Account
	sealer     *seal.Sealer
	cache      *cache.Store
	names      *namespace.Replica
	host       Network
	exchange   *exchange.Exchange
	fetcher    *fetch.Fetcher
	replicator *replicate.Replicator
	placement  *placement.Engine
	gate       *hydration.Gate
	senders    senders
	warm       warm
	fs         *fs.FS
	locator    *locator
	guest      *guest.Guest
	yields     yields
	corrupt    corruptLog
	lost       lost
	conflicts  conflicts
	restored   restored
	cacheLost  bool // it began empty in this start

	relaying sync.Mutex // held while the relays are changed

	closers []func(context.Context) error
	failed  chan error // the first part that cannot go on

	mu       sync.Mutex
	warnings []string
}

// made says how the account came to be in this start.
type made struct{ created, joined bool }

func (p *parts) onClose(f func(context.Context) error) { p.closers = append(p.closers, f) }

func (p *parts) close(ctx context.Context) error {
	var all error
	for _, f := range slices.Backward(p.closers) {
		all = errors.Join(all, f(ctx))
	}
	p.closers = nil
	return all
}

func (p *parts) warn(sentence string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warnings = append(p.warnings, sentence)
}

// openParts opens everything that does not need a mount. On an error nothing stays open.
func openParts(ctx context.Context, s config.Start, log *slog.Logger, emit func(controlapi.StartEvent), via Via) (_ *parts, m made, err error) {
	p := &parts{home: s.Home, log: log, failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			_ = p.close(context.Background())
		}
	}()
	master, err := p.unlock(ctx)
	if err != nil {
		return nil, m, err
	}
	if p.meta, err = kv.Open(s.Home.StoreDir(), master, kv.Options{Logger: log}); err != nil {
		return nil, m, p.storeDamaged(err)
	}
	p.onClose(func(context.Context) error { return p.meta.Close() })
	if m, err = p.openAccount(ctx, s, via, emit); err != nil {
		return nil, m, err
	}
	if err = p.openStores(s, master); err != nil {
		return nil, m, err
	}
	if err = p.openNetwork(ctx, s, via); err != nil {
		return nil, m, err
	}
	if err = p.openFS(ctx, s); err != nil {
		return nil, m, err
	}
	return p, m, nil
}

// unlock gets the home's master key.
func (p *parts) unlock(ctx context.Context) (key [32]byte, err error) {
	key, _, warning, err := keystore.Unlock(ctx, p.home.Dir(), keystore.Options{})
	if warning != "" {
		p.warn(warning)
	}
	return key, err
}

// openAccount opens the account, or makes or joins one as the start says.
func (p *parts) openAccount(ctx context.Context, s config.Start, via Via, emit func(controlapi.StartEvent)) (m made, err error) {
	opt := share.Options{Log: p.log}
	p.account, err = share.Open(p.meta, opt)
	switch {
	case err == nil && s.Token != "":
		return m, controlapi.E(controlapi.KindHasAccount, "", "this home belongs to an account already")
	case err == nil || !errs.Is(err, errs.NotExist):
		return m, p.storeDamaged(err)
	case s.Token != "":
		p.account, err = p.join(ctx, s, via, emit)
		return made{joined: true}, err
	case s.Create && exists(s.Home.CacheDir()):
		return m, controlapi.E("corrupt", "put "+s.Home.StoreDir()+" back, or move "+s.Home.Dir()+" away and join again from another device",
			"the account of this home is gone, but its cache is still there")
	case s.Create:
		var phrase string
		if p.account, phrase, err = share.Create(p.meta, s.Name, opt); err != nil {
			return m, err
		}
		emit(controlapi.PhraseEvent(phrase))
		return made{created: true}, nil
	}
	return m, controlapi.E(controlapi.KindNoAccount, "make one with: shelf up, or join one with: shelf join TOKEN",
		"this home has no account yet")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// openStores opens what lies on this device: the cache of blocks and the namespace.
func (p *parts) openStores(s config.Start, master [32]byte) error {
	readKey, err := p.account.ReadKey(epoch)
	if err != nil {
		return err
	}
	p.sealer = seal.New(p.account.ShareID(), epoch, readKey)
	p.cacheLost = !exists(s.Home.CacheDir())
	if err := p.lost.load(p.meta, p.log); err != nil {
		return p.storeDamaged(err)
	}
	p.cache, err = cache.Open(s.Home.CacheDir(), master, cache.Options{Limit: s.CacheSize, TrustDisk: true, Logger: p.log, OnCorrupt: p.dropped})
	if err != nil {
		return p.cacheDamaged(err)
	}
	p.onClose(func(context.Context) error { return p.cache.Close() })
	p.lost.store = p.cache
	p.background(p.lost.run)
	p.names, err = namespace.Open(namespace.Config{
		DB: p.meta, Share: p.account.ShareID(), Self: p.account.Self().ID, Key: p.account.SigningKey(),
		Sealer: p.sealer, Known: func(dev ident.DeviceID) bool { _, ok := p.account.Device(dev); return ok }, Names: p.account.Name, Log: p.log,
		Members: p.memberIDs, Disk: config.DiskMark(s.Home.StoreDir()),
		Spelling: spelling(s), Brake: brakeOf(s), Released: p.account.Released, History: s.History,
	})
	if err != nil {
		return p.storeDamaged(err)
	}
	p.onClose(func(context.Context) error { return p.names.Close() })
	if err := p.conflicts.begin(context.Background(), p.names, p.meta); err != nil {
		return p.storeDamaged(err)
	}
	p.background(p.collect)
	return p.storeDamaged(p.restored.load(p.meta))
}

// memberIDs lists the devices that are not revoked.
func (p *parts) memberIDs() []ident.DeviceID {
	var out []ident.DeviceID
	for _, d := range p.account.Devices() {
		if !d.Revoked {
			out = append(out, d.ID)
		}
	}
	return out
}

// openNetwork starts the host and everything that talks over it.
func (p *parts) openNetwork(ctx context.Context, s config.Start, via Via) (err error) {
	host, err := via.Open(ctx, p.account, p.meta, s, p.log)
	if err != nil {
		return err
	}
	p.host = host
	p.onClose(func(context.Context) error { return p.host.Close() })
	blind, err := p.account.BlindKey(epoch)
	if err != nil {
		return err
	}
	keeper := &keeper{}
	p.openGuest(ctx, s)
	p.exchange = exchange.New(exchange.Config{Network: host, Store: p.cache, Keeper: keeper, Below: p.below, Allow: p.account.Member, Silent: host.Check, Pacer: sending{p}, Log: p.log})
	p.onClose(func(context.Context) error { return p.exchange.Close() })
	p.locator = newLocator(host, p.exchange)
	p.fetcher = fetch.New(fetch.Config{
		Came:  p.senders.came,
		Cache: p.cache, Locator: p.locator, Pacer: p.guest, Log: p.log, Report: p.corrupt.lied,
		Name:    p.account.Name,
		Present: p.cache.Expect, // read ahead, and so leased: it must not go before its reader comes
	})
	p.onClose(func(context.Context) error { return p.fetcher.Close() })
	p.replicator = replicate.New(replicate.Config{Network: host, Records: p.names, Members: p.account,
		Self: p.account.Self().ID, Blind: blind, Log: p.log})
	p.placement, err = placement.New(placement.Config{
		Self: p.account.Self().ID, DB: p.meta, Names: p.names, Store: p.cache, Peers: p.exchange, Network: host,
		Digests: p.digestsFor, Fetch: p.fetchFor, Sender: p.senders.sender, Held: func(u placement.Urgency) bool { return p.held(u) != "" }, Log: p.log, Quota: s.PinQuota, Lost: p.cacheLost,
	})
	if err != nil {
		return p.storeDamaged(err)
	}
	keeper.set(p.placement)
	p.corrupt.tell(p.placement.Damaged)
	for _, d := range p.lost.blocks() { // of an earlier run: somebody may have it now
		p.placement.Damaged(d)
	}
	p.background(p.locator.run)
	p.background(p.resume)
	p.background(func(ctx context.Context) {
		events, stop := host.Subscribe()
		defer stop()
		p.replicator.Run(ctx, events)
	})
	p.background(func(ctx context.Context) {
		events, stop := host.Subscribe()
		defer stop()
		if err := p.placement.Run(ctx, events); err != nil {
			p.fail(err)
		}
	})
	p.background(p.followMembers)
	p.background(p.watchRestored)
	p.background(p.expireHistory)
	p.background(p.tellAddresses)
	p.background(p.scrub)
	p.meetStrangers()
	return p.openRelays()
}

// openFS opens the filesystem over all of it.
func (p *parts) openFS(ctx context.Context, s config.Start) error {
	if err := p.openGate(s); err != nil {
		return err
	}
	if err := p.openHeat(s); err != nil {
		return err
	}
	var uses fs.Uses // an interface that is nil, where it is off
	if p.warm.uses != nil {
		uses = p.warm.uses
	}
	changes := p.names.Watch()
	var err error
	p.fs, err = fs.New(ctx, fs.Config{
		Uses:  uses,
		Names: p.names, Rules: rules(s), Past: p.names, Changes: changes, Blocks: p.fetcher, Hints: hints{p.fetcher, p.placement.Keepers}, Gate: p.gate, Store: p.cache, Journal: journal.Open(p.meta), Holes: holes.Open(p.meta), Interrupted: p.cache.Owners(cache.Writing), Damaged: p.cache.Damaged, Sealer: p.sealer,
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Why: p.whyNode, StatFS: p.usage, Log: p.log,
	})
	if err != nil {
		changes.Close()
		return p.storeDamaged(err)
	}
	p.onClose(func(ctx context.Context) error {
		err := p.fs.Close(ctx)
		changes.Close()
		return err
	})
	return nil
}

// dropped hears from the cache of a copy that failed its check.
func (p *parts) dropped(d digest, was cache.Class) {
	p.corrupt.found(d, was)
	if was == cache.Staged {
		p.lost.damaged(d)
	}
}

// background runs f until the parts are closed, which waits for it.
func (p *parts) background(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	p.onClose(func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}

func (p *parts) fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

// self is this device.
func (p *parts) self() ident.DeviceID { return p.account.Self().ID }
