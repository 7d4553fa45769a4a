package fs

import (
	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// A directory of the past has no index by spelling: it is read whole in any case, and seldom.

// classes are the names of a directory by what they are to be found under.
func classes(r alias.Rules, n int, name func(int) string) map[string][]string {
	out := make(map[string][]string, n)
	for i := range n {
		for _, k := range r.Keys(name(i)) {
			out[k] = append(out[k], name(i))
		}
	}
	return out
}

// showPast is what the entries of a directory of the past show as.
func (s *spelled) showPast(es []namespace.DirEntry) []string {
	at := classes(s.rules, len(es), func(i int) string { return es[i].Name })
	shown := make([]string, len(es))
	for i := range es {
		shown[i] = s.rules.Show(es[i].Name, at[s.rules.Home(es[i].Name)])
	}
	return shown
}

// lookupPast is what dir showed at a moment under a name, in any spelling.
func (s *spelled) lookupPast(p Past, dir namespace.NodeID, as string, when int64) (namespace.Entry, error) {
	e, err := p.LookupAt(dir, as, when)
	if !errs.Is(err, errs.NotExist) {
		return e, err
	}
	es, lerr := p.At(dir, when)
	if lerr != nil {
		return e, lerr
	}
	at := classes(s.rules, len(es), func(i int) string { return es[i].Name })
	key, walk := s.rules.Key(as)
	name, ok := s.rules.Find(as, at[key])
	for i := range es {
		n := es[i].Name
		if walk && s.rules.IsAlias(as, n) || !walk && ok && n == name {
			return es[i], nil
		}
	}
	return e, err
}
