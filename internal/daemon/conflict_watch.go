package daemon

import (
	"context"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// A burst of conflicts, as after a long time apart, is told in few words: when it has been quiet
// for conflictQuiet, or after conflictPatience at the latest, once for each folder, and at most
// conflictNotices times.
const (
	conflictQuiet    = 2 * time.Second
	conflictPatience = 30 * time.Second
	conflictNotices  = 8
	conflictNamed    = 50 // conflicts that one notice lists
)

// conflicts knows how many conflicts there are, and which have been told. What was not told when
// the process ended, however it ended, is told by the next.
type conflicts struct {
	names   *namespace.Replica
	watcher *namespace.Watcher
	told    toldConflicts // of the goroutine that watches
	missed  bool          // there was something to tell in the beginning

	stale atomic.Bool // count may be another one now
	mu    sync.Mutex
	count int
}

// begin finds out what is there and was told. It comes before the first change from elsewhere.
func (c *conflicts) begin(ctx context.Context, names *namespace.Replica, db *kv.DB) error {
	c.names, c.watcher = names, names.Watch()
	all, err := names.Clashes(ctx)
	if err == nil {
		err = c.told.load(db)
	}
	if err != nil {
		return err
	}
	c.count, c.missed = len(all), len(c.told.fresh(all)) > 0
	return nil
}

func (c *conflicts) changed() { c.stale.Store(true) }

// Count is how many there are.
func (c *conflicts) Count(ctx context.Context) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale.Swap(false) {
		if all, err := c.names.Clashes(ctx); err == nil {
			c.count = len(all)
		} else {
			c.changed()
		}
	}
	return c.count
}

// watch calls tell with the conflicts that are new, after each burst, until ctx ends. tell says
// of each, by done, that it has been told.
func (c *conflicts) watch(ctx context.Context, log *slog.Logger, tell func(fresh []namespace.Clash, done func([]namespace.Clash))) {
	done := func(cs []namespace.Clash) {
		if err := c.told.add(cs); err != nil {
			log.Warn("it could not be noted which conflicts were told", "err", err)
		}
	}
	for due := c.missed; ; due = false {
		if !due {
			news, err := c.watcher.Next(ctx)
			if err != nil {
				return
			}
			if !concernsConflicts(news) {
				continue
			}
		}
		c.changed()
		if !c.settle(ctx) {
			return
		}
		all, err := c.names.Clashes(ctx)
		if err == nil {
			err = c.told.keep(all)
		}
		if err != nil {
			if !errs.Is(err, errs.Interrupted) {
				log.Warn("conflicts could not be listed", "err", err)
			}
			continue
		}
		if fresh := c.told.fresh(all); len(fresh) > 0 {
			tell(fresh, done)
		}
	}
}

// settle waits until it has been quiet for a while; false when ctx ended.
func (c *conflicts) settle(ctx context.Context) bool {
	for end := time.Now().Add(conflictPatience); time.Now().Before(end); {
		wait, cancel := context.WithTimeout(ctx, conflictQuiet)
		more := false
		for !more {
			news, err := c.watcher.Next(wait)
			if err != nil {
				break
			}
			more = concernsConflicts(news)
		}
		cancel()
		if ctx.Err() != nil {
			return false
		}
		if !more {
			break
		}
		c.changed()
	}
	return true
}

// concernsConflicts reports whether a conflict may have come or gone: there is always a derived
// name that comes or goes with it.
func concernsConflicts(news []namespace.Change) bool {
	return slices.ContainsFunc(news, func(c namespace.Change) bool {
		return c.What == namespace.Overflow || c.What == namespace.NameChanged && namespace.DerivedName(c.Name)
	})
}

// watchConflicts tells of new conflicts: in the log, without names, and to the command of the
// settings.
func (d *daemon) watchConflicts(ctx context.Context) {
	hook := hook{command: d.start.OnConflict, home: d.home.Dir(), limit: hookTime, log: d.log}
	d.conflicts.watch(ctx, d.log, func(fresh []namespace.Clash, done func([]namespace.Clash)) {
		d.log.Info("new conflicts: see shelf conflicts", "count", len(fresh))
		if hook.command == "" {
			done(fresh)
			return
		}
		for _, n := range d.notices(ctx, fresh) {
			if hook.run(ctx, n.ConflictEvent); ctx.Err() != nil { // perhaps it heard nothing of it
				return
			}
			done(n.about)
		}
	})
}

// notice is an event and what it tells.
type notice struct {
	controlapi.ConflictEvent
	about []namespace.Clash
}

// notices folds conflicts by folder; those of too many folders become one notice about what the
// folders have in common.
func (d *daemon) notices(ctx context.Context, fresh []namespace.Clash) []notice {
	groups := map[string][]namespace.Clash{}
	for _, c := range fresh {
		dir := path.Dir("/" + c.Path)
		groups[dir] = append(groups[dir], c)
	}
	if len(groups) > conflictNotices {
		groups = map[string][]namespace.Clash{commonFolder(fresh): fresh}
	}
	var out []notice
	for dir, cs := range groups {
		e := controlapi.ConflictEvent{Event: "conflict", Folder: dir, Count: len(cs), Mount: d.mounts.where().Path, Devices: []string{}}
		for i, c := range cs {
			if i < conflictNamed {
				e.Conflicts = append(e.Conflicts, d.nameConflict(ctx, c))
			}
			for _, v := range c.Versions {
				if n := d.account.Name(v.By); v.By != d.self() && !slices.Contains(e.Devices, n) {
					e.Devices = append(e.Devices, n)
				}
			}
		}
		slices.Sort(e.Devices)
		e.Summary = count(len(cs), "conflict", "conflicts") + " in " + dir
		if len(e.Devices) > 0 {
			e.Summary += ", from " + strings.Join(e.Devices, ", ")
		}
		out = append(out, notice{e, cs})
	}
	slices.SortFunc(out, func(a, b notice) int { return strings.Compare(a.Folder, b.Folder) })
	return out
}

// commonFolder is the deepest folder above all of them.
func commonFolder(cs []namespace.Clash) string {
	common := path.Dir("/" + cs[0].Path)
	for _, c := range cs {
		for dir := path.Dir("/" + c.Path); common != "/" && dir != common && !strings.HasPrefix(dir, common+"/"); {
			common = path.Dir(common)
		}
	}
	return common
}
