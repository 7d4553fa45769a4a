package scenario

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/fstest"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// model is a troupe of bare replicas, over disks in memory, that meet by direct calls. Its clocks go
// as the scripts say, and after every scene each replica is compared with the pure view.
type model struct {
	t       testing.TB
	now     time.Time
	devices []*modelDevice
	texts   map[blocks.Digest]string // what stands for the blocks
	cut     int                      // where meetings for a moment break: after so many records
	broke   bool                     // one did
	short   bool                     // years are
	seal    *seal.Sealer
	rand    io.Reader
}

type modelDevice struct {
	*namespace.Replica
	m            *model
	key          ed25519.PrivateKey
	id           ident.DeviceID
	clock        time.Duration // off by this
	disk, backup *kv.Memory
	mark         []byte // tells the disk from a copy of it
	db           *kv.DB
}

func newModel(t testing.TB, clocks [3]time.Duration) *model {
	m := &model{t: t, now: time.UnixMilli(1_700_000_000_000), texts: map[blocks.Digest]string{}, rand: rand.NewChaCha8([32]byte{1}),
		seal: seal.New(ident.ShareID{1}, 1, [32]byte{7})}
	for i, name := range cast {
		seed := make([]byte, ed25519.SeedSize)
		copy(seed, name)
		d := &modelDevice{m: m, key: ed25519.NewKeyFromSeed(seed), clock: clocks[i], disk: kv.NewMemory(), mark: []byte{byte(i), 0}}
		d.id = ident.DeviceIDOf(d.key)
		m.devices = append(m.devices, d)
	}
	for _, d := range m.devices {
		d.open()
		t.Cleanup(d.close)
	}
	return m
}

func (d *modelDevice) open() {
	var err error
	if d.db, err = kv.OpenMemory(d.disk); err != nil {
		d.m.t.Fatal(err)
	}
	d.Replica, err = namespace.Open(namespace.Config{DB: d.db, Share: ident.ShareID{1}, Self: d.id, Key: d.key, Sealer: d.m.seal, Group: -1, Rand: d.m.rand,
		Disk: d.mark, Known: d.m.known, Names: d.m.name, Members: d.m.members, Clock: func() time.Time { return d.m.now.Add(d.clock) }})
	if err != nil {
		d.m.t.Fatal(err)
	}
}

func (d *modelDevice) close() {
	if err := errors.Join(d.Close(), d.db.Close()); err != nil {
		d.m.t.Error(err)
	}
}

func (m *model) backUp(who int) {
	d := m.devices[who]
	d.close()
	d.backup = d.disk.Clone()
	d.open()
}

func (m *model) putBack(who int) {
	d := m.devices[who]
	d.close()
	d.disk = d.backup.Clone()
	d.mark = []byte{d.mark[0], d.mark[1] + 1} // other files than those it was made from
	d.open()
}

func (m *model) known(id ident.DeviceID) bool { return m.name(id) != "" }

func (m *model) name(id ident.DeviceID) string {
	for i, d := range m.devices {
		if d.id == id {
			return cast[i]
		}
	}
	return ""
}

func (m *model) members() (out []ident.DeviceID) {
	for _, d := range m.devices {
		out = append(out, d.id)
	}
	return out
}

func (m *model) there(...int)            {}
func (m *model) alone(int)               {}
func (m *model) patience() time.Duration { return 0 }

func (m *model) year() {
	if !m.short {
		m.now = m.now.Add(year)
	}
}

// meet lets all pull from all. If nobody is missing there is an end to that; what somebody has heard a
// part of is said again until who can say all of it is there. Then they forget what all know to be
// removed.
func (m *model) meet(who ...int) {
	told := 0
	for round := range 10 {
		if round > len(who) && (told == 0 || len(who) < len(cast)) {
			break
		}
		told = 0
		for _, a := range who {
			for _, b := range who {
				if a != b {
					told += m.pull(a, b, -1)
				}
			}
		}
	}
	if told > 0 && len(who) == len(cast) {
		m.t.Fatalf("they do not come to an end: %d records once more", told)
	}
	for _, w := range who {
		if _, err := m.devices[w].Collect(context.Background()); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *model) moment(a, b int) {
	m.pull(b, a, m.cut)
	m.pull(a, b, m.cut)
}

func (m *model) check() error {
	for i, d := range m.devices {
		if err := d.Check(); err != nil {
			return fmt.Errorf("%s: %w", cast[i], err)
		}
	}
	return nil
}

// pull brings all that src has to dst, and says how many records that were. It breaks off after cut
// of them, unless cut is negative.
func (m *model) pull(dst, src, cut int) int {
	m.now = m.now.Add(time.Millisecond)
	n, err := m.devices[dst].pull(m.devices[src], cut)
	if err != nil {
		m.t.Fatalf("%s from %s: %v", cast[dst], cast[src], err)
	}
	return n
}

func (d *modelDevice) pull(src *modelDevice, cut int) (int, error) {
	ctx := context.Background()
	for _, x := range [2][2]*modelDevice{{d, src}, {src, d}} {
		if err := x[0].Hear(x[1].id, x[1].Hello(x[0].id), x[0] == d); err != nil && !errs.Is(err, errs.Stale) {
			return 0, err
		}
	}
	delta, err := src.Since(ctx, d.Hello(src.id))
	if errs.Is(err, errs.Stale) { // its disk was put back: first it has to hear what the others have
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	defer delta.Close()
	if cut >= 0 {
		delta.Page(1)
	}
	for i := 0; ; i++ {
		frame, err := delta.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && i == cut {
			d.m.broke = true
			return delta.Records(), nil
		}
		if err == nil {
			err = d.Apply(ctx, src.id, frame)
		}
		if err != nil {
			return 0, err
		}
	}
	claims, err := d.Complete(ctx, src.id, delta.End())
	if err != nil {
		return 0, err
	}
	if err := src.Acknowledged(d.id, claims); err != nil {
		return 0, err
	}
	return delta.Records(), d.audit(src, delta)
}

// audit makes the audit that d owes src, if any.
func (d *modelDevice) audit(src *modelDevice, delta *namespace.Delta) error {
	a := d.Audit(src.id, delta.End())
	if a == nil {
		return nil
	}
	for q := a.Question(); q != nil; q = a.Question() {
		answer, err := delta.Answer(q)
		if err == nil {
			err = a.Hear(answer)
		}
		if err != nil {
			return err
		}
	}
	frames, err := delta.Fetch(a.Wanted())
	for _, f := range frames {
		err = errors.Join(err, a.Repair(context.Background(), f))
	}
	if err == nil {
		_, err = a.End()
	}
	return err
}

func (m *model) player(who int, dir string) *player {
	d := m.devices[who]
	m.now = m.now.Add(time.Millisecond)
	return &player{Sys: modelFiles{d: d}, dir: dir, settle: d.settle}
}

func (d *modelDevice) settle(at, keep string) error {
	dir, err := d.Resolve(path.Dir(at))
	if err == nil {
		_, err = d.SettleClash(dir.ID, path.Base(at), map[string]namespace.Keep{
			"mine": namespace.KeepMine, "theirs": namespace.KeepTheirs, "both": namespace.KeepBoth}[keep])
	}
	return err
}

func (m *model) beside(who int) (map[string]bool, error) {
	all, err := m.devices[who].Clashes(context.Background())
	out := map[string]bool{}
	for _, c := range all {
		for _, v := range c.Versions[1:] {
			out[path.Join("/", path.Dir(c.Path), v.Name)] = true
		}
	}
	return out, err
}

// modelFiles is the calls that plays need, as the operations of a replica that they come to.
type modelFiles struct {
	fstest.Sys // the others
	d          *modelDevice
}

func modelErr(err error) error {
	if e := fs.Errno(err); e != 0 {
		return e
	}
	return nil
}

// in finds the directory of a path.
func (f modelFiles) in(at string) (dir namespace.NodeID, name string, err error) {
	e, err := f.d.Resolve(path.Dir(at))
	return e.ID, path.Base(at), modelErr(err)
}

func (f modelFiles) make(at string, s namespace.Spec) error {
	dir, name, err := f.in(at)
	if err == nil {
		_, err = f.d.Create(dir, name, s)
	}
	return modelErr(err)
}

func (f modelFiles) Mkdir(at string, mode uint32) error {
	return f.make(at, namespace.Spec{Kind: namespace.Dir, Mode: mode})
}

func (f modelFiles) Mkfifo(at string, mode uint32) error {
	return f.make(at, namespace.Spec{Kind: namespace.Fifo, Mode: mode})
}

func (f modelFiles) Symlink(target, at string) error {
	return f.make(at, namespace.Spec{Kind: namespace.Symlink, Mode: 0o777, Target: target})
}

func (f modelFiles) Readlink(at string) (string, error) {
	e, err := f.d.Resolve(at)
	return e.Target, modelErr(err)
}

func (f modelFiles) Link(old, at string) error {
	e, err := f.d.Resolve(old)
	if err != nil {
		return modelErr(err)
	}
	dir, name, err := f.in(at)
	if err == nil {
		_, err = f.d.Link(e.ID, dir, name)
	}
	return modelErr(err)
}

func (f modelFiles) remove(at string, isDir bool) error {
	dir, name, err := f.in(at)
	if err == nil {
		_, err = f.d.Remove(dir, name, isDir)
	}
	return modelErr(err)
}

func (f modelFiles) Unlink(at string) error { return f.remove(at, false) }
func (f modelFiles) Rmdir(at string) error  { return f.remove(at, true) }

func (f modelFiles) Rename(from, to string, flag fstest.RenameFlag) error {
	sd, src, err := f.in(from)
	if err != nil {
		return err
	}
	dd, dst, err := f.in(to)
	if err == nil {
		_, _, err = f.d.Rename(sd, src, dd, dst, map[fstest.RenameFlag]namespace.RenameFlag{
			fstest.Replace: namespace.RenameReplace, fstest.Exchange: namespace.RenameExchange}[flag])
	}
	return modelErr(err)
}

func (f modelFiles) Lstat(at string) (fstest.Stat, error) {
	e, err := f.d.Resolve(at)
	if err != nil {
		return fstest.Stat{}, modelErr(err)
	}
	kind, ok := map[namespace.Kind]fstest.Type{namespace.File: fstest.Regular, namespace.Dir: fstest.Dir, namespace.Symlink: fstest.Symlink,
		namespace.Fifo: fstest.Fifo}[e.Kind]
	if !ok {
		kind = fstest.Special
	}
	return fstest.Stat{Mode: e.Mode, Type: kind, Nlink: e.Nlink, UID: e.UID, Size: int64(e.Size()), Mtime: e.Mtime}, nil
}

func (f modelFiles) change(at string, c namespace.AttrChange) error {
	e, err := f.d.Resolve(at)
	if err == nil {
		_, err = f.d.SetAttr(e.ID, c)
	}
	return modelErr(err)
}

func (f modelFiles) Chmod(at string, mode uint32) error {
	return f.change(at, namespace.AttrChange{Mode: &mode})
}

func (f modelFiles) Chown(at string, uid, _ int) error {
	return f.change(at, namespace.AttrChange{UID: new(uint32(uid))})
}

func (f modelFiles) Utimes(at string, atime, mtime int64) error {
	return f.change(at, namespace.AttrChange{Atime: &atime, Mtime: &mtime})
}

func (f modelFiles) ReadDir(at string) (names []string, err error) {
	e, err := f.d.Resolve(at)
	if err != nil {
		return nil, modelErr(err)
	}
	page, err := f.d.List(e.ID, 0, 1<<20)
	for _, x := range page {
		names = append(names, x.Name)
	}
	return names, modelErr(err)
}

func (f modelFiles) Setxattr(at, name string, value []byte, _ int) error {
	e, err := f.d.Resolve(at)
	if err == nil {
		err = f.d.SetXattr(e.ID, name, value, namespace.XattrAny)
	}
	return modelErr(err)
}

func (f modelFiles) Getxattr(at, name string) ([]byte, error) {
	e, err := f.d.Resolve(at)
	if err != nil {
		return nil, modelErr(err)
	}
	v, err := f.d.GetXattr(e.ID, name)
	return v, modelErr(err)
}

func (f modelFiles) Listxattr(at string) ([]string, error) {
	e, err := f.d.Resolve(at)
	if err != nil {
		return nil, modelErr(err)
	}
	names, err := f.d.ListXattr(e.ID)
	return names, modelErr(err)
}

func (f modelFiles) Removexattr(at, name string) error {
	e, err := f.d.Resolve(at)
	if err == nil {
		err = f.d.RemoveXattr(e.ID, name)
	}
	return modelErr(err)
}

// Open makes a file empty first, and gives it its bytes when it is closed, as package fs does.
func (f modelFiles) Open(at string, flag int, mode uint32) (fstest.File, error) {
	dir, name, err := f.in(at)
	if err != nil {
		return nil, err
	}
	e, err := f.d.Lookup(dir, name)
	switch {
	case err == nil && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, errnos["EEXIST"]
	case errs.Is(err, errs.NotExist) && flag&os.O_CREATE != 0:
		e, err = f.d.Create(dir, name, namespace.Spec{Kind: namespace.File, Mode: mode})
	}
	if err != nil {
		return nil, modelErr(err)
	}
	if e.Kind == namespace.Dir {
		return nil, errnos["EISDIR"]
	}
	o := &modelFile{d: f.d, id: e.ID, base: e.Versions, text: f.d.m.texts[e.Content.Root]}
	if flag&os.O_TRUNC != 0 {
		o.text, o.dirty = "", true
	}
	return o, nil
}

// modelFile is an open file.
type modelFile struct {
	fstest.File // calls that plays do not need
	d           *modelDevice
	id          namespace.NodeID
	base        []namespace.Dot
	text        string
	dirty       bool
}

func (o *modelFile) Pread(p []byte, off int64) (int, error) {
	return copy(p, o.text[min(off, int64(len(o.text))):]), nil
}

func (o *modelFile) Pwrite(p []byte, off int64) (int, error) {
	text := []byte(o.text + strings.Repeat("\x00", max(0, int(off)-len(o.text))))
	o.text, o.dirty = string(slices.Concat(text[:off], p, text[min(len(text), int(off)+len(p)):])), true
	return len(p), nil
}

func (o *modelFile) Close() error {
	if !o.dirty {
		return nil
	}
	var c blocks.Content
	if o.text != "" {
		c = blocks.Content{Root: blocks.Sum([]byte(o.text)), Size: uint64(len(o.text))}
		o.d.m.texts[c.Root] = o.text
	}
	_, err := o.d.Commit(o.id, o.base, c, namespace.Now)
	return modelErr(err)
}
