package sim

import (
	"slices"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// oracle is what the users know: what each wrote, and what each saw and removed. It knows no
// rule. What only a disk held that was lost since is forgotten with it (fate.go).
type oracle struct {
	w     *world
	facts []fact
	n     int // noted so far
}

type fact struct {
	kind factKind
	dev  int
	n    int          // which of all
	life int          // of the device's disk
	by   ident.Writer // of the device's log,
	from uint64       // the first of the numbers that it took,
	seq  uint64       // and the last
	// again are the ends of later logs of the same disk in which what others had not been told of
	// the log before was written again.
	again []namespace.Dot
	vague bool // for a while nobody could say whether it was lost
	heard bool // by a device that was put back since
	what  int  // contents
	into  int  // of removed: the contents written in their place; 0: none
	dir   nodeID
	dot   namespace.Dot
	how   Step
}

type factKind uint8

const (
	wrote   factKind = iota // what or dir
	removed                 // what or dir, by somebody who saw it
	gone                    // dot: a version that somebody saw and removed
)

func (o *oracle) note(d *device, f fact) {
	o.n++
	f.n, f.dev, f.life, f.by, f.from, f.seq, f.how = o.n, d.i, d.life, d.names.Writer(), d.began, d.names.Written(), o.w.step
	o.facts = append(o.facts, f)
}

func (o *oracle) wrote(d *device, c int) {
	if c > shared {
		o.note(d, fact{kind: wrote, what: c})
	}
}

func (o *oracle) made(d *device, dir nodeID) { o.note(d, fact{kind: wrote, dir: dir}) }

// removed: the user saw the entry and removed or overwrote it. The rest of what he saw is as
// it was.
func (o *oracle) removed(d *device, e *entry) {
	o.replaced(d, contentOf(e), 0, e.Versions)
}

// replaced: the user saw contents, as these versions, and wrote others in their place; 0: none.
func (o *oracle) replaced(d *device, c, into int, versions []namespace.Dot) {
	if c > shared {
		o.note(d, fact{kind: removed, what: c, into: into})
	}
	for _, v := range versions {
		o.note(d, fact{kind: gone, dot: v})
	}
}

// removedDir notes the end of all directories that were shown as this one.
func (o *oracle) removedDir(d *device, ids []nodeID) {
	for _, id := range ids {
		o.note(d, fact{kind: removed, dir: id})
	}
}

// shownAs lists the directories that somebody made and that d shows as this one.
func (o *oracle) shownAs(d *device, id nodeID) (out []nodeID) {
	for _, f := range o.facts {
		if f.kind == wrote && f.what == 0 {
			if e, err := d.names.Get(f.dir); err == nil && e.ID == id {
				out = append(out, f.dir)
			}
		}
	}
	return out
}

// forget drops what happened on a device and is not in its log any more: a crash has undone
// it.
func (o *oracle) forget(d *device) {
	by, seq := d.names.Writer(), d.names.Written()
	o.facts = slices.DeleteFunc(o.facts, func(f fact) bool {
		return f.dev == d.i && f.life == d.life && (f.by.Incarnation > by.Incarnation || f.by == by && f.seq > seq)
	})
}

// still: no session, be it cut anywhere, makes vanish what nobody has removed (S3), nor what somebody has
// overwritten before what took its place is there.
func (o *oracle) still(d *device, before *view) {
	shown := map[int]bool{}
	for i := range d.view().items {
		shown[contentOf(&d.view().items[i].entry)] = true
	}
	for i := range before.items {
		x := &before.items[i]
		c := contentOf(&x.entry)
		if c > shared && !shown[c] && !o.mayBeGone(c, shown, len(o.facts)) {
			o.w.fail("nothing vanishes", "%q with content %d is no longer shown, though nobody who saw it removed it, nor is what was written in its place: %+v", x.path, c, x.entry)
		}
	}
}

// mayBeGone reports whether somebody has removed contents, or overwritten them with others that are shown or
// may be gone. Steps bound it.
func (o *oracle) mayBeGone(c int, shown map[int]bool, steps int) bool {
	return slices.ContainsFunc(o.facts, func(f fact) bool {
		return f.kind == removed && f.what == c && (f.into <= shared || shown[f.into] || steps > 0 && o.mayBeGone(f.into, shown, steps-1))
	})
}

// judge looks at what everybody shows in the end: nothing is lost that nobody removed, and
// nothing is back that somebody removed and nobody else saved.
func (o *oracle) judge(d *device) {
	contents, dirs, dots := map[int]bool{}, map[nodeID]bool{}, map[namespace.Dot]bool{}
	for _, f := range o.facts {
		switch {
		case f.kind == gone:
			dots[f.dot] = !o.w.numbers.forked[f.dot.Writer] // else it may be another write
		case f.kind == removed && f.what > 0:
			contents[f.what] = true
		case f.kind == removed:
			dirs[f.dir] = true
		}
	}
	v := d.view()
	shown := map[int]bool{}
	for i := range v.items {
		x := &v.items[i]
		if c := contentOf(&x.entry); c > 0 {
			shown[c] = true
		}
		if x.isDir() || len(x.Versions) == 0 {
			continue
		}
		back := true
		for _, u := range x.Versions {
			back = back && dots[u]
		}
		if back && !o.w.copied() { // what one of two copies acknowledges counts for both
			o.w.fail("no zombie", "%q is shown though somebody saw and removed it: %+v", x.path, x.entry)
		}
	}
	for _, f := range o.facts {
		switch {
		case f.kind != wrote:
		case f.what > 0 && !contents[f.what] && !shown[f.what]:
			o.w.fail("no lost update", "content %d is gone, though nobody who saw it removed it. It was written at\n%v", f.what, f.how)
		case f.what == 0 && !dirs[f.dir]:
			if _, err := d.names.Get(f.dir); err != nil {
				o.w.fail("no lost update", "directory %v is gone, though nobody who saw it removed it. It was made at\n%v", f.dir, f.how)
			}
		}
	}
}
