package share

import (
	"cmp"
	"slices"

	"github.com/shelffs/shelf/internal/ident"
)

// admit adds an entry to the log that it says it is of. Errors: those of log.add.
func admit(account, share *log, e *entry) (bool, error) {
	if e.log == accountLog {
		return account.add(e, func(signer ident.DeviceID, past bits) bool { return admittedIn(account, e, signer, past) })
	}
	return share.add(e, func(signer ident.DeviceID, _ bits) bool {
		return slices.ContainsFunc(account.nodes, func(n *node) bool {
			d, ok := n.adds()
			return ok && ident.DeviceID(d.Signing) == signer
		})
	})
}

// admittedIn reports whether a key is the root's or was admitted by an entry in past.
func admittedIn(l *log, e *entry, signer ident.DeviceID, past bits) bool {
	if gen, ok := e.data.(*accountGenesis); ok {
		return ident.DeviceID(gen.Root) == signer
	}
	if l.genesis().signer == signer {
		return true
	}
	for i, n := range l.nodes {
		if d, ok := n.adds(); ok && past.has(i) && ident.DeviceID(d.Signing) == signer {
			return true
		}
	}
	return false
}

// admitAll adds entries, given in any order, to the logs they are of. What can be added is,
// and counted; the first error about the rest is returned beside it.
func admitAll(account, share *log, entries []*entry) (added int, err error) {
	for _, e := range inOrder(entries) {
		isNew, aerr := admit(account, share, e)
		if isNew {
			added++
		}
		if err == nil {
			err = aerr
		}
	}
	return added, err
}

// inOrder sorts entries so that each comes after those that it builds on: account entries
// before share entries, predecessors first.
func inOrder(entries []*entry) []*entry {
	byHash := make(map[Hash]*entry, len(entries))
	missing := make(map[Hash]int, len(entries))
	next := map[Hash][]*entry{}
	var unique, ready []*entry
	for _, e := range entries {
		if byHash[e.hash] == nil {
			byHash[e.hash], unique = e, append(unique, e)
		}
	}
	for _, e := range unique {
		for _, p := range e.prev {
			if byHash[p] != nil {
				missing[e.hash]++
				next[p] = append(next[p], e)
			}
		}
		if missing[e.hash] == 0 {
			ready = append(ready, e)
		}
	}
	for i := 0; i < len(ready); i++ { // grows while it is walked
		for _, e := range next[ready[i].hash] {
			if missing[e.hash]--; missing[e.hash] == 0 {
				ready = append(ready, e)
			}
		}
	}
	slices.SortStableFunc(ready, func(a, b *entry) int { return cmp.Compare(a.log, b.log) })
	return ready
}
