//go:build linux

package scenario

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A device that is alone is a filesystem like any other: an operation changes what it names and
// nothing else, whatever conflicts show beside it.

// prospect is what a mount shows without a look into the files: one line for each path.
type prospect map[string]glimpse

type glimpse struct {
	ino  uint64
	dir  bool
	what string
}

func prospectOf(mnt string) prospect {
	all := prospect{}
	_ = filepath.WalkDir(mnt, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == mnt {
			return nil
		}
		name := strings.TrimPrefix(p, mnt+"/")
		if name == ".shelf" {
			return fs.SkipDir
		}
		fi, err := os.Lstat(p)
		if err != nil {
			return nil
		}
		st := fi.Sys().(*syscall.Stat_t)
		x := glimpse{ino: st.Ino, dir: fi.IsDir(), what: fmt.Sprint(fi.Mode(), xattrs(p))}
		if !x.dir { // a directory's times and size are those of its entries
			to, _ := os.Readlink(p)
			x.what = fmt.Sprintf("%s %d bytes, %d names, %d %s", x.what, fi.Size(), st.Nlink, fi.ModTime().UnixNano(), to)
		}
		all[name] = x
		return nil
	})
	return all
}

// xattrs lists the attributes that users have set.
func xattrs(p string) (out []string) {
	names := make([]byte, 4096)
	n, err := unix.Llistxattr(p, names)
	if err != nil {
		return nil
	}
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		if strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.shelf.") {
			value := make([]byte, 256)
			n, _ := unix.Lgetxattr(p, name, value)
			out = append(out, name+"="+string(value[:max(n, 0)]))
		}
	}
	slices.Sort(out)
	return out
}

// alone reports whether nothing arrives at s.
func (o *oracle) alone(s *site) bool { return o.apart || !o.other(s).on }

// deed is what the operation that is under way says of itself.
type deed struct {
	names []string          // these, and all below and all other names of theirs, may change
	then  map[string]uint64 // if it succeeds: what file is where; 0: none
}

func (o *oracle) touches(names ...string) { o.deed.names = append(o.deed.names, names...) }

// leaves says that a file is at p when the operation has succeeded.
func (o *oracle) leaves(p string, ino uint64) {
	o.touches(p)
	o.deed.then[p] = ino
}

// bystanders compares what s showed before and after an operation with what that has said.
func (o *oracle) bystanders(s *site, what string, before, after prospect, done bool) {
	o.t.Helper()
	mine := map[uint64]bool{}
	touched := func(p string) bool {
		return slices.ContainsFunc(o.deed.names, func(q string) bool { return p == q || strings.HasPrefix(p, q+"/") })
	}
	for _, all := range []prospect{before, after} {
		for p, x := range all {
			if touched(p) && !x.dir {
				mine[x.ino] = true
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(union(before, after))) {
		x, was := before[p]
		y, is := after[p]
		if of, _, copied := strings.Cut(p, " (conflict from "); copied && !was && touched(of) {
			continue // what had arrived, unseen, between the opening of the file and its saving
		}
		if x != y && !touched(p) && !mine[x.ino] && !mine[y.ino] {
			o.t.Errorf("%s: %s: changed %s, of which it says nothing, from %v %v to %v %v", s.name, what, p, was, x, is, y)
		}
	}
	if !done {
		return
	}
	for p, ino := range o.deed.then {
		if got := after[p].ino; got != ino {
			o.t.Errorf("%s: %s: then %s is file %d, want %d", s.name, what, p, got, ino)
		}
	}
}

func union(a, b prospect) prospect {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
