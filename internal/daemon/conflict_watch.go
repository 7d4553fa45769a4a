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

// conflicts knows how many conflicts there are, and which have been told.
type conflicts struct {
	names   *namespace.Replica
	watcher *namespace.Watcher
	known   map[conflictID]bool // of the goroutine that watches

	stale atomic.Bool // count may be another one now
	mu    sync.Mutex
	count int
}

// conflictID is one version that shows beside its name.
type conflictID struct{ dir, id namespace.NodeID }

// begin takes what is there for known. It comes before the first change from elsewhere.
func (c *conflicts) begin(ctx context.Context, names *namespace.Replica) error {
	c.names, c.watcher = names, names.Watch()
	all, err := names.Clashes(ctx)
	if err != nil {
		return err
	}
	c.known, c.count = conflictIDs(all), len(all)
	return nil
}

func conflictIDs(all []namespace.Clash) map[conflictID]bool {
	ids := map[conflictID]bool{}
	for _, c := range all {
		for _, v := range c.Versions[1:] {
			ids[conflictID{c.Dir, v.ID}] = true
		}
	}
	return ids
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

// watch calls tell with the conflicts that are new, after each burst, until ctx ends.
func (c *conflicts) watch(ctx context.Context, log *slog.Logger, tell func([]namespace.Clash)) {
	for {
		news, err := c.watcher.Next(ctx)
		if err != nil {
			return
		}
		if !concernsConflicts(news) {
			continue
		}
		c.changed()
		if !c.settle(ctx) {
			return
		}
		all, err := c.names.Clashes(ctx)
		if err != nil {
			if !errs.Is(err, errs.Interrupted) {
				log.Warn("conflicts could not be listed", "err", err)
			}
			continue
		}
		var fresh []namespace.Clash
		for _, x := range all {
			if slices.ContainsFunc(x.Versions[1:], func(v namespace.ClashVersion) bool { return !c.known[conflictID{x.Dir, v.ID}] }) {
				fresh = append(fresh, x)
			}
		}
		c.known = conflictIDs(all)
		if len(fresh) > 0 {
			tell(fresh)
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
	d.conflicts.watch(ctx, d.log, func(fresh []namespace.Clash) {
		d.log.Info("new conflicts: see shelf conflicts", "count", len(fresh))
		if hook.command == "" {
			return
		}
		for _, e := range d.notices(ctx, fresh) {
			if ctx.Err() == nil {
				hook.run(ctx, e)
			}
		}
	})
}

// notices folds conflicts by folder; those of too many folders become one notice about what the
// folders have in common.
func (d *daemon) notices(ctx context.Context, fresh []namespace.Clash) []controlapi.ConflictEvent {
	groups := map[string][]namespace.Clash{}
	for _, c := range fresh {
		dir := path.Dir("/" + c.Path)
		groups[dir] = append(groups[dir], c)
	}
	if len(groups) > conflictNotices {
		groups = map[string][]namespace.Clash{commonFolder(fresh): fresh}
	}
	var out []controlapi.ConflictEvent
	for dir, cs := range groups {
		e := controlapi.ConflictEvent{Event: "conflict", Folder: dir, Count: len(cs), Mount: d.mounts.where().Path, Devices: []string{}}
		for i, c := range cs {
			if i < conflictNamed {
				e.Conflicts = append(e.Conflicts, d.nameConflict(ctx, c))
			}
			for _, v := range c.Versions[1:] {
				if n := d.account.Name(v.Writer); !slices.Contains(e.Devices, n) {
					e.Devices = append(e.Devices, n)
				}
			}
		}
		slices.Sort(e.Devices)
		e.Summary = count(len(cs), "conflict", "conflicts") + " in " + dir + ", from " + strings.Join(e.Devices, ", ")
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b controlapi.ConflictEvent) int { return strings.Compare(a.Folder, b.Folder) })
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
