//go:build linux

package scenario

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// handle is a file held open over several operations.
type handle struct {
	f       *os.File
	path    string
	removed bool // on this device: what is written to it is nobody's any more
}

func (s *site) letGo() {
	for _, h := range s.held {
		_ = h.f.Close()
	}
	s.held = nil
}

// operations are what a person or a program does; the more often one stands here, the more often
// it is done.
func (o *oracle) operations() []func(s *site) (string, error) {
	return []func(s *site) (string, error){
		o.create, o.create, o.create, o.overwrite, o.overwrite, o.overwrite, o.append, o.append, o.append, o.save, o.save,
		o.rename, o.rename, o.rename, o.exchange, o.unlink, o.unlink, o.mkdir, o.mkdir, o.rmdir, o.removeAll,
		o.link, o.symlink, o.truncate, o.tidy, o.tidy, o.hold, o.rewriteHeld, o.rewriteHeld, o.chmod, o.utimes, o.setxattr, o.alike, o.alike, o.alike,
	}
}

func (o *oracle) operate(s *site) {
	o.t.Helper()
	ops := o.operations()
	o.deed = deed{then: map[string]uint64{}}
	alone, before := o.alone(s) && !s.dies, prospect(nil)
	if alone {
		before = prospectOf(s.mnt)
	}
	what, err := ops[o.rng.IntN(len(ops))](s)
	if what == "" {
		return
	}
	o.note("%s  %s: %v", s.name, what, err)
	if alone {
		o.bystanders(s, what, before, prospectOf(s.mnt), err == nil)
		o.counts["operations looked at"]++
	}
	if err == nil {
		o.counts["done"]++
		return
	}
	for _, fine := range []error{fs.ErrNotExist, fs.ErrExist, syscall.ENOTEMPTY, syscall.ENOTDIR, syscall.EISDIR, syscall.EHOSTDOWN, syscall.EINVAL,
		syscall.ESTALE, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EPERM} {
		if errors.Is(err, fine) {
			return
		}
	}
	for _, dead := range []error{syscall.ENOTCONN, syscall.ECONNABORTED, syscall.EIO, syscall.EINTR} {
		if s.dies && errors.Is(err, dead) {
			return
		}
	}
	o.t.Errorf("%s: %s: %v", s.name, what, err)
}

// entries lists what a mount shows, folders and the others apart, relative to it.
func (o *oracle) entries(s *site) (dirs, others []string) {
	dirs = []string{""}
	_ = filepath.WalkDir(s.mnt, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == s.mnt {
			return nil
		}
		if name := strings.TrimPrefix(p, s.mnt+"/"); e.IsDir() {
			dirs = append(dirs, name)
		} else {
			others = append(others, name)
		}
		return nil
	})
	return dirs, others
}

// fresh is a name in some folder, which may be there already.
func (o *oracle) fresh(dirs []string, kind string) string {
	dir := dirs[o.rng.IntN(len(dirs))]
	if strings.Count(dir, "/") > o.deep || o.rng.IntN(3) == 0 {
		dir = ""
	}
	return path.Join(dir, kind+string(rune('0'+o.rng.IntN(o.few))))
}

// some is one of a list; "" if there is none.
func (o *oracle) some(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[o.rng.IntN(len(list))]
}

// file is one of a list of files, those that both devices are likely to want more often: what
// lies at the top, and where a conflict is.
func (o *oracle) file(list []string) string {
	conflict := func(p string) bool { return strings.Contains(p, "(conflict from ") }
	var hot []string
	for _, p := range list {
		switch stem := p + " ("; {
		case conflict(p), slices.ContainsFunc(list, func(q string) bool { return strings.HasPrefix(q, stem) && conflict(q) }):
			hot = append(hot, p, p)
		case !strings.Contains(p, "/"):
			hot = append(hot, p)
		}
	}
	if len(hot) > 0 && o.rng.IntN(3) > 0 {
		list = hot
	}
	return o.some(list)
}

// write makes a new value of a device.
func (o *oracle) write(s *site) (value, []byte) {
	o.next++
	v := o.next
	size := []int{10, 100, 5000, 5000, 70_000, 400_000}[o.rng.IntN(6)]
	return v, v.segment(size)
}

// wrote says what became of it: an error or a crash may have kept it from being written, and
// only what was fsynced survives a crash for certain.
func (o *oracle) wrote(s *site, v value, synced bool, err error) {
	if err != nil {
		return
	}
	o.writer[v] = s
	if synced {
		o.safe[v] = true
	}
}

// ending notes that what a path shows is about to be overwritten or removed by a device that
// shows it. What the other one has just written to the same file, under this name or another,
// may have arrived a moment ago, or arrive in the next. It fails where the bytes cannot be read
// now: then nobody knows what would be lost.
func (o *oracle) ending(s *site, p string) error { return o.ends(s, p, false) }

func (o *oracle) ends(s *site, p string, removed bool) error {
	o.touches(p)
	all, err := valuesAt(s.path(p))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	o.end(s, removed, all)
	if !o.apart {
		o.endAt(o.other(s), append(o.other(s).sameFile(inode(s.path(p))), p)...)
	}
	return nil
}

func (o *oracle) endAt(s *site, paths ...string) {
	for _, p := range paths {
		vs, _ := valuesAt(s.path(p))
		o.end(s, false, vs)
	}
}

// inode is a file's number, which is the same on all devices; 0 if there is none.
func inode(path string) uint64 {
	fi, err := os.Lstat(path)
	if err != nil {
		return 0
	}
	return fi.Sys().(*syscall.Stat_t).Ino
}

// sameFile lists the names of a file.
func (s *site) sameFile(ino uint64) (names []string) {
	if !s.on {
		return nil
	}
	_ = filepath.WalkDir(s.mnt, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && inode(p) == ino {
			names = append(names, strings.TrimPrefix(p, s.mnt+"/"))
		}
		return nil
	})
	return names
}

// removing is ending for a name that goes away: a file that is held open under it is nobody's
// from then on.
func (o *oracle) removing(s *site, p string) error {
	if err := o.ends(s, p, true); err != nil {
		return err
	}
	at, err := os.Lstat(s.path(p))
	for _, h := range s.held {
		if is, serr := h.f.Stat(); err == nil && serr == nil && os.SameFile(at, is) {
			h.removed = true
		}
	}
	return nil
}

// fill writes bytes to an open file, sometimes makes them durable, and closes it.
func (o *oracle) fill(f *os.File, b []byte) (synced bool, err error) {
	_, err = f.Write(b)
	if err == nil && o.rng.IntN(2) == 0 {
		err, synced = f.Sync(), true
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return synced, err
}

func (o *oracle) create(s *site) (string, error) {
	dirs, _ := o.entries(s)
	p := o.fresh(dirs, "f")
	o.touches(p)
	v, b := o.write(s)
	f, err := os.OpenFile(s.path(p), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	synced := false
	if err == nil {
		synced, err = o.fill(f, b)
	}
	o.wrote(s, v, synced, err)
	return "create " + p + " " + v.target(), err
}

func (o *oracle) overwrite(s *site) (string, error) {
	_, files := o.entries(s)
	p := o.file(files)
	if p == "" {
		return "", nil
	}
	if err := o.ending(s, p); err != nil {
		return "look at " + p, err
	}
	v, b := o.write(s)
	f, err := os.OpenFile(s.path(p), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NOFOLLOW, 0o644)
	synced := false
	if err == nil {
		synced, err = o.fill(f, b)
	}
	o.wrote(s, v, synced, err)
	return "overwrite " + p + " " + v.target(), err
}

func (o *oracle) append(s *site) (string, error) {
	_, files := o.entries(s)
	p := o.file(files)
	if p == "" {
		return "", nil
	}
	o.touches(p)
	v, b := o.write(s)
	f, err := os.OpenFile(s.path(p), os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o644)
	synced := false
	if err == nil {
		synced, err = o.fill(f, b)
	}
	o.wrote(s, v, synced, err)
	return "append to " + p + " " + v.target(), err
}

// save writes a file as editors do: another one beside it, renamed over it.
func (o *oracle) save(s *site) (string, error) {
	dirs, files := o.entries(s)
	p := o.file(append(files, o.fresh(dirs, "f")))
	v, b := o.write(s)
	tmp := path.Join(path.Dir(p), ".tmp-"+v.target())
	o.touches(tmp, p)
	f, err := os.OpenFile(s.path(tmp), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return "save " + p + " " + v.target(), err
	}
	synced, err := o.fill(f, b)
	o.wrote(s, v, synced, err)
	if err == nil {
		err = o.removing(s, p)
	}
	if err == nil {
		err = os.Rename(s.path(tmp), s.path(p))
	}
	return "save " + p + " " + v.target(), err
}

// rename moves anything, to a name that may be there.
func (o *oracle) rename(s *site) (string, error) {
	dirs, files := o.entries(s)
	p := o.some(append(slices.Clone(files), dirs[1:]...))
	if p == "" {
		return "", nil
	}
	kind := "f"
	if slices.Contains(dirs, p) {
		kind = "d"
	}
	q := o.fresh(dirs, kind)
	if o.rng.IntN(3) == 0 {
		q = o.some(append(slices.Clone(files), dirs[1:]...))
	}
	from, to := inode(s.path(p)), inode(s.path(q))
	if from != to {
		if err := o.removing(s, q); err != nil {
			return "look at " + q, err
		}
		o.leaves(p, 0)
	}
	o.leaves(q, from)
	saved := o.saves(s, p)
	err := os.Rename(s.path(p), s.path(q))
	if err == nil && from != to {
		saved()
	}
	return "rename " + p + " to " + q, err
}

func (o *oracle) exchange(s *site) (string, error) {
	dirs, files := o.entries(s)
	list := append(files, dirs[1:]...)
	p, q := o.some(list), o.some(list)
	if p == "" {
		return "", nil
	}
	o.leaves(p, inode(s.path(q)))
	o.leaves(q, inode(s.path(p)))
	saved, alsoSaved := o.saves(s, p), o.saves(s, q)
	err := unix.Renameat2(unix.AT_FDCWD, s.path(p), unix.AT_FDCWD, s.path(q), unix.RENAME_EXCHANGE)
	if err == nil && p != q {
		saved()
		alsoSaved()
	}
	return "exchange " + p + " and " + q, err
}

func (o *oracle) unlink(s *site) (string, error) {
	_, files := o.entries(s)
	p := o.file(files)
	if p == "" {
		return "", nil
	}
	if err := o.removing(s, p); err != nil {
		return "look at " + p, err
	}
	o.leaves(p, 0)
	return "unlink " + p, unix.Unlink(s.path(p))
}

// tidy removes a file beside which another device's version shows, and leaves that.
func (o *oracle) tidy(s *site) (string, error) {
	_, files := o.entries(s)
	p := o.some(slices.DeleteFunc(slices.Clone(files), func(p string) bool {
		return !slices.ContainsFunc(files, func(q string) bool { return strings.HasPrefix(q, p+" (conflict from ") })
	}))
	if p == "" {
		return "", nil
	}
	if err := o.removing(s, p); err != nil {
		return "look at " + p, err
	}
	o.counts["conflicts tidied"]++
	o.leaves(p, 0)
	return "tidy up " + p, unix.Unlink(s.path(p))
}

func (o *oracle) mkdir(s *site) (string, error) {
	dirs, _ := o.entries(s)
	p := o.fresh(dirs, "d")
	o.touches(p)
	return "mkdir " + p, os.Mkdir(s.path(p), 0o755)
}

func (o *oracle) rmdir(s *site) (string, error) {
	dirs, _ := o.entries(s)
	p := o.some(dirs[1:])
	if p == "" {
		return "", nil
	}
	o.leaves(p, 0)
	return "rmdir " + p, unix.Rmdir(s.path(p))
}

// removeAll is rm -rf of what is seen in a folder.
func (o *oracle) removeAll(s *site) (string, error) {
	dirs, _ := o.entries(s)
	p := o.some(dirs[1:])
	if p == "" {
		return "", nil
	}
	var remove func(p string) error
	remove = func(p string) error {
		list, err := os.ReadDir(s.path(p))
		for _, e := range list {
			q := path.Join(p, e.Name())
			if e.IsDir() {
				err = errors.Join(err, remove(q))
			} else if ended := o.removing(s, q); ended != nil {
				err = errors.Join(err, ended)
			} else {
				err = errors.Join(err, unix.Unlink(s.path(q)))
			}
		}
		return errors.Join(err, unix.Rmdir(s.path(p)))
	}
	o.leaves(p, 0)
	return "rm -rf " + p, remove(p)
}

func (o *oracle) link(s *site) (string, error) {
	dirs, files := o.entries(s)
	p, q := o.some(files), o.fresh(dirs, "f")
	if p == "" {
		return "", nil
	}
	o.touches(p)
	o.leaves(q, inode(s.path(p)))
	return "link " + p + " as " + q, os.Link(s.path(p), s.path(q))
}

func (o *oracle) symlink(s *site) (string, error) {
	dirs, _ := o.entries(s)
	p := o.fresh(dirs, "l")
	o.touches(p)
	v, _ := o.write(s)
	err := os.Symlink(v.target(), s.path(p))
	o.wrote(s, v, false, err)
	return "symlink " + p + " " + v.target(), err
}

// truncate cuts a file behind one of its values.
func (o *oracle) truncate(s *site) (string, error) {
	_, files := o.entries(s)
	p := o.file(files)
	if p == "" {
		return "", nil
	}
	f, err := os.OpenFile(s.path(p), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return "open " + p, err
	}
	defer f.Close()
	b, err := os.ReadFile(s.path(p))
	if err != nil {
		return "look at " + p, err
	}
	found, _ := segments(b)
	to := 0
	if len(found) > 0 && o.rng.IntN(2) == 0 {
		to = found[o.rng.IntN(len(found))].to
	}
	if err := o.ending(s, p); err != nil {
		return "look at " + p, err
	}
	return "truncate " + p, f.Truncate(int64(to))
}

// hold opens a file and goes on later.
func (o *oracle) hold(s *site) (string, error) {
	_, files := o.entries(s)
	p := o.file(files)
	if p == "" || len(s.held) > 1 {
		return "", nil
	}
	f, err := os.OpenFile(s.path(p), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err == nil {
		s.held = append(s.held, &handle{f: f, path: p})
	}
	return "open " + p, err
}

// rewriteHeld replaces all bytes of a file that was opened a while ago, whatever its name is now.
func (o *oracle) rewriteHeld(s *site) (string, error) {
	if len(s.held) == 0 {
		return "", nil
	}
	h := s.held[0]
	s.held = s.held[1:]
	defer h.f.Close()
	fi, err := h.f.Stat()
	if err != nil {
		return "look at the open " + h.path, err
	}
	b := make([]byte, fi.Size())
	if n, err := h.f.ReadAt(b, 0); n < len(b) {
		return "read the open " + h.path, err
	}
	st := fi.Sys().(*syscall.Stat_t)
	o.end(s, false, valuesIn(b))
	o.touches(s.sameFile(st.Ino)...)
	if !o.apart {
		o.endAt(o.other(s), o.other(s).sameFile(st.Ino)...)
	}
	removed := h.removed || st.Nlink == 0
	v, b := o.write(s)
	if err = h.f.Truncate(0); err == nil {
		_, err = h.f.WriteAt(b, 0)
	}
	synced := o.rng.IntN(2) == 0
	if err == nil && synced {
		err = h.f.Sync()
	}
	if cerr := h.f.Close(); err == nil {
		err = cerr
	}
	if !removed {
		o.wrote(s, v, synced, err)
	}
	return "rewrite the open " + h.path + " " + v.target(), err
}

// regular is one of the files that are neither links nor folders; "" if it is something else.
func (o *oracle) regular(s *site) string {
	_, files := o.entries(s)
	p := o.file(files)
	if fi, err := os.Lstat(s.path(p)); p == "" || err != nil || !fi.Mode().IsRegular() {
		return ""
	}
	o.touches(p)
	return p
}

func (o *oracle) chmod(s *site) (string, error) {
	p := o.regular(s)
	if p == "" {
		return "", nil
	}
	mode := []fs.FileMode{0o600, 0o644, 0o755}[o.rng.IntN(3)]
	return "chmod " + p, os.Chmod(s.path(p), mode)
}

func (o *oracle) utimes(s *site) (string, error) {
	p := o.regular(s)
	if p == "" {
		return "", nil
	}
	at := time.Unix(1_000_000_000+int64(o.rng.IntN(1000)), 0)
	return "utimes " + p, os.Chtimes(s.path(p), at, at)
}

func (o *oracle) setxattr(s *site) (string, error) {
	p := o.regular(s)
	if p == "" {
		return "", nil
	}
	name, value := "user."+string(rune('x'+o.rng.IntN(2))), []byte{byte('0' + o.rng.IntN(10))}
	return "setxattr " + p + " " + name, unix.Lsetxattr(s.path(p), name, value, 0)
}

// alike writes what others write as well, to a name that others take as well: two such files show
// as one. Nobody asks whether it is lost.
func (o *oracle) alike(s *site) (string, error) {
	p := o.fresh([]string{""}, "f")
	o.touches(p)
	f, err := os.OpenFile(s.path(p), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = o.fill(f, []byte(alikeBytes))
	}
	return "create " + p + " as others do", err
}

const alikeBytes = "written by many\n"
