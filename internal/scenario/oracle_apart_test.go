//go:build linux

package scenario

import (
	"os"
	"slices"
	"syscall"
	"time"
)

// ended is how a value ended on one of two devices between which the network is cut.
type ended struct {
	by      *site
	removed bool // with its file, and not by other bytes
}

// end notes that values may vanish: s shows them and overwrites or removes them.
func (o *oracle) end(s *site, removed bool, vs []value) {
	for _, v := range vs {
		if o.apart && (!o.gone[v] || len(o.ended[v]) > 0) {
			o.ended[v] = append(o.ended[v], ended{s, removed})
		}
		o.gone[v] = true
	}
}

// saves looks at a file that is about to be renamed. The result notes that it was: a rename, by
// somebody who does not hear of it, keeps a file from being removed.
func (o *oracle) saves(s *site, p string) (saved func()) {
	fi, err := os.Lstat(s.path(p))
	if !o.apart || err != nil || !fi.Mode().IsRegular() || fi.Sys().(*syscall.Stat_t).Nlink > 1 {
		return func() {}
	}
	vs, _ := valuesAt(s.path(p))
	return func() {
		for _, v := range vs {
			o.renamed[v] = append(o.renamed[v], s)
		}
	}
}

// separate cuts the network between the two, who run on. All bytes are on both by then.
func (o *oracle) separate() {
	o.t.Helper()
	o.meet()
	o.network("down")
	time.Sleep(100 * time.Millisecond) // what is under way arrives
	o.apart, o.ended, o.renamed = true, map[value][]ended{}, map[value][]*site{}
	o.counts["cuts"]++
}

func (o *oracle) reunite() {
	o.t.Helper()
	for v, all := range o.ended {
		if slices.ContainsFunc(o.renamed[v], func(by *site) bool {
			return !slices.ContainsFunc(all, func(e ended) bool { return e.by == by || !e.removed })
		}) {
			delete(o.gone, v)
			o.counts["saved by a rename"]++
		}
	}
	o.apart = false
	for _, s := range o.d {
		s.letGo()
	}
	o.network("up")
	o.meet()
}

func (o *oracle) network(state string) {
	o.t.Helper()
	o.note("the network is %s", state)
	if err := o.cable.set(state); err != nil {
		o.t.Fatal(err)
	}
}

// buried: what both agreed to be gone, twice, stays gone.
func (o *oracle) buried(now shown) {
	for v := range o.writer {
		switch {
		case !now.values[v] && o.gone[v]:
			o.dead[v]++
		case o.dead[v] > 1:
			o.t.Errorf("%s is back, which both had forgotten", v.target())
		default:
			delete(o.dead, v)
		}
	}
}
