package sim

import (
	"slices"
	"strconv"
	"strings"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/namespace"
)

type (
	entry  = namespace.Entry
	nodeID = namespace.NodeID
)

// item is an entry and where it is shown.
type item struct {
	path string
	entry
}

func (x *item) isDir() bool { return x.Kind == namespace.Dir }

// view is all that a device shows: every directory before what is in it.
type view struct {
	items []item
	named map[place]*item
	first map[nodeID]*item
}

type place struct {
	dir  nodeID
	name string
}

// look reads everything through the product's own listing.
func (d *device) look() *view {
	v := &view{}
	d.walk(v, namespace.Root, "", 0)
	return v
}

func (d *device) walk(v *view, dir nodeID, path string, depth int) {
	if depth > 64 {
		d.w.fail("no cycle", "%s", path)
	}
	page, err := d.names.List(dir, 0, 1<<20)
	if err != nil {
		d.w.fail("what is shown can be listed", "%s: %v", path, err)
	}
	slices.SortFunc(page, func(a, b namespace.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	for i := range page {
		if i > 0 && page[i].Name == page[i-1].Name {
			d.w.fail("unique names", "%s/%s twice", path, page[i].Name)
		}
		x := item{join(path, page[i].Name), page[i].Entry}
		v.items = append(v.items, x)
		if x.isDir() {
			d.walk(v, x.ID, x.path, depth+1)
		}
	}
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

func splitPath(p string) (dir, name string) {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)], p[i+1:]
}

// at returns what dir shows under a name, nil for nothing.
func (v *view) at(dir nodeID, name string) *item {
	if v.named == nil {
		v.named = make(map[place]*item, len(v.items))
		for i := range v.items {
			x := &v.items[i]
			v.named[place{x.Parent, x.Name}] = x
		}
	}
	return v.named[place{dir, name}]
}

// ids returns every entry by its id, files by their first name.
func (d *device) ids(v *view) map[nodeID]*item {
	if v.first == nil {
		v.first = make(map[nodeID]*item, len(v.items))
		for i := range v.items {
			x := &v.items[i]
			if x.Nlink > 1 {
				if e, err := d.names.Get(x.ID); err != nil || e.Parent != x.Parent || e.Name != x.Name {
					continue
				}
			}
			v.first[x.ID] = x
		}
	}
	return v.first
}

// Contents are numbers. Those up to shared are written by several people; all others are
// written once, so that they can be told apart for ever.
const shared = 3

func content(n int) (c blocks.Content) {
	if n > 0 {
		c.Size = uint64(n)
		for i, x := 0, mix(uint64(n)); i < len(c.Root); i++ {
			c.Root[i] = byte(x >> (i % 8 * 8))
		}
	}
	return c
}

// contentOf is the number behind what an entry holds, 0 for nothing of interest.
func contentOf(e *entry) int {
	switch e.Kind {
	case namespace.File:
		return int(e.Content.Size)
	case namespace.Symlink:
		n, _ := strconv.Atoi(strings.TrimPrefix(e.Target, "t"))
		return n
	}
	return 0
}
