package scenario

import (
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shelffs/shelf/fs/fstest"
)

// player is a device as its user sees it, in the folder of one play.
type player struct {
	fstest.Sys
	dir    string                        // of the play, in the share
	settle func(path, keep string) error // resolves a conflict
}

// verbs are what users do. Each is an ordinary call, or a few as programs make them.
var verbs = map[string]struct {
	args int
	do   func(p *player, w []string) error
}{
	"write":    {2, func(p *player, w []string) error { return p.put(w[0], w[1], os.O_CREATE|os.O_TRUNC) }}, // PATH TEXT
	"append":   {2, (*player).add},                                                                          // PATH TEXT
	"create":   {2, func(p *player, w []string) error { return p.put(w[0], w[1], os.O_CREATE|os.O_EXCL) }},  // PATH TEXT
	"save":     {2, (*player).save},                                                                         // PATH TEXT, as editors do
	"read":     {2, (*player).read},                                                                         // PATH TEXT
	"holds":    {1, (*player).holds},                                                                        // TEXT, one file does
	"mkdir":    {1, func(p *player, w []string) error { return p.Mkdir(p.at(w[0]), 0o755) }},
	"symlink":  {2, func(p *player, w []string) error { return p.Symlink(w[0], p.at(w[1])) }}, // TARGET PATH
	"fifo":     {1, func(p *player, w []string) error { return p.Mkfifo(p.at(w[0]), 0o644) }},
	"link":     {2, func(p *player, w []string) error { return p.Link(p.at(w[0]), p.at(w[1])) }},
	"rename":   {2, func(p *player, w []string) error { return p.Rename(p.at(w[0]), p.at(w[1]), fstest.Replace) }},
	"swap":     {2, func(p *player, w []string) error { return p.Rename(p.at(w[0]), p.at(w[1]), fstest.Exchange) }},
	"unlink":   {1, func(p *player, w []string) error { return p.Unlink(p.at(w[0])) }},
	"rmdir":    {1, func(p *player, w []string) error { return p.Rmdir(p.at(w[0])) }},
	"remove":   {1, func(p *player, w []string) error { return p.removeAll(p.at(w[0])) }}, // rm -r
	"chmod":    {2, (*player).chmod},                                                      // MODE PATH
	"chown":    {2, (*player).chown},                                                      // UID PATH
	"touch":    {2, (*player).touch},                                                      // DAY PATH
	"setxattr": {3, func(p *player, w []string) error { return p.Setxattr(p.at(w[0]), w[1], []byte(w[2]), 0) }},
	"unxattr":  {2, func(p *player, w []string) error { return p.Removexattr(p.at(w[0]), w[1]) }},
	"resolve":  {2, func(p *player, w []string) error { return p.settle(p.at(w[0]), w[1]) }}, // PATH mine|theirs|both
}

// errnos are the refusals that scripts speak of.
var errnos = map[string]syscall.Errno{
	"ENOENT": syscall.ENOENT, "EEXIST": syscall.EEXIST, "ENOTEMPTY": syscall.ENOTEMPTY, "EINVAL": syscall.EINVAL,
	"ENOTDIR": syscall.ENOTDIR, "EISDIR": syscall.EISDIR,
}

// do performs one act.
func (p *player) do(a act) error {
	err := verbs[a.verb].do(p, a.args)
	var e syscall.Errno
	switch {
	case a.fails == "" && err != nil:
		return fmt.Errorf("%s %q: %w", a.verb, a.args, err)
	case a.fails != "" && (!errors.As(err, &e) || e != errnos[a.fails]):
		return fmt.Errorf("%s %q: %v, want %s", a.verb, a.args, err, a.fails)
	}
	return nil
}

// derived is what the product puts into the name of what stands beside a name; scripts leave out
// what differs from run to run: the day, and a part of an id where there is one.
var derived = regexp.MustCompile(` \(conflict from (\S+) \d{4}-\d\d-\d\d( [0-9a-f.]+)?\)`)

// plain is a name as it stands in scripts.
func plain(name string) string {
	return derived.ReplaceAllStringFunc(name, func(s string) string {
		m := derived.FindStringSubmatch(s)
		if m[2] != "" {
			return " (from " + m[1] + " #)"
		}
		return " (from " + m[1] + ")"
	})
}

// at is the path in the share of what a script calls name. One that begins with a slash is beside the
// folders of plays.
func (p *player) at(name string) string {
	at := p.dir
	if strings.HasPrefix(name, "/") {
		at = "/"
	}
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '/' }) {
		if strings.Contains(part, " (from ") {
			names, _ := p.ReadDir(at)
			if i := slices.IndexFunc(names, func(n string) bool { return plain(n) == part }); i >= 0 {
				part = names[i]
			}
		}
		at = path.Join(at, part)
	}
	return at
}

func (p *player) put(name, text string, flag int) error {
	return p.writeAt(name, text, 0, flag)
}

func (p *player) writeAt(name, text string, at int64, flag int) error {
	f, err := p.Open(p.at(name), flag|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Pwrite([]byte(text), at)
	return errors.Join(err, f.Close())
}

func (p *player) add(w []string) error {
	st, err := p.Lstat(p.at(w[0]))
	if err != nil {
		return err
	}
	return p.writeAt(w[0], w[1], st.Size, 0)
}

func (p *player) save(w []string) error {
	if err := p.put(w[0]+".new", w[1], os.O_CREATE|os.O_EXCL); err != nil {
		return err
	}
	return p.Rename(p.at(w[0]+".new"), p.at(w[0]), fstest.Replace)
}

func (p *player) read(w []string) error {
	got, err := contentsOf(p, p.at(w[0]))
	if err == nil && got != w[1] {
		err = fmt.Errorf("it holds %q", got)
	}
	return err
}

func (p *player) holds(w []string) error {
	lines, err := p.look(nil, nil, true)
	n := 0
	for _, l := range lines {
		if _, text, ok := strings.Cut(l, " = "); ok && text == w[0] {
			n++
		}
	}
	if err == nil && n != 1 {
		err = fmt.Errorf("%d files hold that, there is %q", n, lines)
	}
	return err
}

func (p *player) removeAll(at string) error {
	st, err := p.Lstat(at)
	if err != nil {
		return err
	}
	if st.Type != fstest.Dir {
		return p.Unlink(at)
	}
	names, err := p.ReadDir(at)
	for _, n := range names {
		err = errors.Join(err, p.removeAll(path.Join(at, n)))
	}
	return errors.Join(err, p.Rmdir(at))
}

func (p *player) chmod(w []string) error {
	mode, err := strconv.ParseUint(w[0], 8, 32)
	return errors.Join(err, p.Chmod(p.at(w[1]), uint32(mode)))
}

func (p *player) chown(w []string) error {
	uid, err := strconv.Atoi(w[0])
	return errors.Join(err, p.Chown(p.at(w[1]), uid, -1))
}

func (p *player) touch(w []string) error {
	day, err := time.Parse(time.DateOnly, w[0])
	return errors.Join(err, p.Utimes(p.at(w[1]), day.UnixNano(), day.UnixNano()))
}

func contentsOf(s fstest.Sys, at string) (string, error) {
	f, err := s.Open(at, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var out []byte
	for buf := make([]byte, 4<<10); ; {
		n, err := f.Pread(buf, int64(len(out)))
		if err != nil || n == 0 {
			return string(out), err
		}
		out = append(out, buf[:n]...)
	}
}

// look lists everything that a device shows of a play, a line for each name, sorted:
//
//	plan.txt = contents
//	plan (from a).txt = contents [conflict]        shelf conflicts lists it
//	folder/
//	pointer -> target
//	pipe |
//	hard = contents [2 links, mode 600, owner 7, of 2001-02-03, user.color=red]
//
// In brackets stands what is not as for any new file. Times are told of what somebody touched.
// roots are the names beside the folders of plays that are the play's own, too; beside are the paths
// of what stands beside a name. Without bytes, sizes and times stand for contents.
func (p *player) look(roots []string, beside map[string]bool, bytes bool) ([]string, error) {
	l := looker{p: p, beside: beside, bytes: bytes}
	home, err := p.Lstat(p.dir)
	if err != nil {
		return nil, err
	}
	l.owner = home.UID
	l.folder(p.dir, "")
	for _, r := range roots {
		l.entry(path.Join("/", r), "/"+r)
	}
	slices.Sort(l.lines)
	return l.lines, l.err
}

type looker struct {
	p      *player
	beside map[string]bool
	bytes  bool
	owner  uint32
	lines  []string
	err    error
}

func (l *looker) folder(at, shown string) {
	names, err := l.p.ReadDir(at)
	l.err = errors.Join(l.err, err)
	for _, n := range names {
		l.entry(path.Join(at, n), shown+plain(n))
	}
}

func (l *looker) entry(at, shown string) {
	st, err := l.p.Lstat(at)
	if err != nil {
		if !errors.Is(err, syscall.ENOENT) {
			l.err = errors.Join(l.err, err)
		}
		return
	}
	line, mode := shown, uint32(0o644)
	switch st.Type {
	case fstest.Dir:
		line, mode = line+"/", 0o755
	case fstest.Symlink:
		target, err := l.p.Readlink(at)
		l.err = errors.Join(l.err, err)
		line, mode = line+" -> "+target, st.Mode
	case fstest.Regular:
		if !l.bytes {
			line += fmt.Sprintf(", %d bytes of %d", st.Size, st.Mtime)
			break
		}
		text, err := contentsOf(l.p, at)
		l.err = errors.Join(l.err, err)
		line += " = " + text
	default:
		line += " |"
	}
	var more []string
	if st.Nlink != 1 && st.Type != fstest.Dir {
		more = append(more, fmt.Sprint(st.Nlink, " links"))
	}
	if st.Mode != mode {
		more = append(more, fmt.Sprintf("mode %o", st.Mode))
	}
	if st.UID != l.owner {
		more = append(more, fmt.Sprint("owner ", st.UID))
	}
	if day := time.Unix(0, st.Mtime).UTC(); day.Year() < 2015 {
		more = append(more, "of "+day.Format(time.DateOnly))
	}
	if l.beside[at] {
		more = append(more, "conflict")
	}
	more = append(more, l.xattrs(at, st.Type)...)
	if len(more) > 0 {
		line = strings.TrimRight(line, " ") + " [" + strings.Join(more, ", ") + "]"
	}
	l.lines = append(l.lines, strings.TrimRight(line, " "))
	if st.Type == fstest.Dir {
		l.folder(at, shown+"/")
	}
}

func (l *looker) xattrs(at string, kind fstest.Type) (out []string) {
	if kind == fstest.Symlink || kind == fstest.Fifo {
		return nil
	}
	names, err := l.p.Listxattr(at)
	l.err = errors.Join(l.err, err)
	slices.Sort(names)
	for _, n := range names {
		v, err := l.p.Getxattr(at, n)
		l.err = errors.Join(l.err, err)
		out = append(out, n+"="+string(v))
	}
	return out
}
