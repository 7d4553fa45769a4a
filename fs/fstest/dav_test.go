package fstest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs/davfs"
)

// davExceptions are the tests that WebDAV cannot pass, and what it does not have.
var davExceptions = map[string]string{
	"OpenMissing":               "a name below a file is not found: there is no other answer",
	"NameTooLong":               "there is no answer of its own for that",
	"ParallelWriters":           "a file is replaced as a whole: who writes only a part takes a lock",
	"TruncateByPath":            "parts of files",
	"UnlinkWhileOpen":           "an open file is its path",
	"UnlinkWhileOpenBig":        "an open file is its path",
	"RemovedFileHasAttributes":  "an open file is its path",
	"RemovedDirHasAttributes":   "an open file is its path",
	"RenameUnsavedFile":         "an open file is its path",
	"RenameOverFile":            "an open file is its path",
	"RenameUnsavedOver":         "an open file is its path",
	"RenameToOwnHardLink":       "hard links",
	"HardLink":                  "hard links",
	"ChangeTimeMovesWithLinks":  "hard links",
	"ChangeTimeMovesWithXattrs": "extended attributes, other than properties",
	"HardLinkAcrossDirs":        "hard links",
	"HardLinkOpen":              "hard links",
	"HardLinkDir":               "hard links",
	"SymlinkReadlink":           "symlinks",
	"LongSymlink":               "symlinks",
	"Xattr":                     "extended attributes, other than properties",
	"XattrOfDir":                "extended attributes, other than properties",
	"XattrOtherNamespaces":      "extended attributes, other than properties",
	"XattrLimits":               "extended attributes, other than properties",
	"XattrSurvivesRename":       "extended attributes, other than properties",
	"Chmod":                     "modes",
	"ModeAtCreation":            "modes",
	"ParentTimesChange":         "times to set, or finer than a second",
	"Times":                     "times to set, or finer than a second",
	"TimesOfUnsavedFile":        "times to set, or finer than a second",
	"WriteMovesTimes":           "times to set, or finer than a second",
	"ChangeTimeMoves":           "times to set, or finer than a second",
	"BigHole":                   "holes",
	"BlocksOfHoles":             "holes",
	"SeekDataHole":              "holes",
	"SeekDense":                 "holes",
	"Allocate":                  "holes",
	"PunchHole":                 "holes",
	"RenameExchange":            "an exchange",
	"Fifo":                      "fifos",
	"Model":                     "holes, and parts of files",
	"Copy":                      "parts of files",
	"CopyMovesTimes":            "parts of files",
	"CopyOfPartsAndBeyond":      "parts of files",
	"CopyOfHoles":               "parts of files",
	"CopyModel":                 "parts of files",
}

func TestDAV(t *testing.T) { RunExcept(t, overDAV(t), davExceptions) }

// overDAV makes directories of one device the roots of tests, as a client of its WebDAV server
// sees them.
func overDAV(t *testing.T) func(t *testing.T) Sys {
	d := newDevice(t, setup{n: 1})
	srv := httptest.NewServer(davfs.NewHandler(d.fs, self(), slog.New(slog.DiscardHandler)))
	t.Cleanup(srv.Close)
	n := 0
	return func(t *testing.T) Sys {
		n++
		root := &davSys{http: srv.Client(), base: srv.URL}
		dir := fmt.Sprint("/test", n)
		if err := root.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return &davSys{http: srv.Client(), base: srv.URL + dir}
	}
}

// davSys is a client that keeps nothing: a file is its path, and to change a part of a file is to
// fetch all of it and to send all of it.
type davSys struct {
	http *http.Client
	base string
}

// do sends a request and gives the errno that its answer amounts to.
func (s *davSys) do(method, p string, body []byte, head map[string]string) ([]byte, error) {
	req, err := http.NewRequest(method, s.base+(&url.URL{Path: p}).EscapedPath(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range head {
		req.Header.Set(k, v)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusConflict:
		return nil, syscall.ENOENT
	case http.StatusPreconditionFailed:
		return nil, syscall.EEXIST
	case http.StatusInsufficientStorage:
		return nil, syscall.ENOSPC
	case http.StatusServiceUnavailable:
		return nil, syscall.EHOSTDOWN
	case http.StatusMethodNotAllowed:
		if method == "MKCOL" {
			return nil, syscall.EEXIST
		}
		return nil, syscall.EISDIR
	case http.StatusBadRequest:
		return nil, syscall.EINVAL
	}
	if resp.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %s: %w", method, p, resp.Status, syscall.EIO)
	}
	return got, nil
}

type davEntry struct {
	Href string `xml:"href"`
	Prop struct {
		Length   string    `xml:"getcontentlength"`
		Modified string    `xml:"getlastmodified"`
		Dir      *struct{} `xml:"resourcetype>collection"`
	} `xml:"propstat>prop"`
}

func (s *davSys) propfind(p, depth string) ([]davEntry, error) {
	got, err := s.do("PROPFIND", p, nil, map[string]string{"Depth": depth})
	if err != nil {
		return nil, err
	}
	var out struct {
		Entries []davEntry `xml:"response"`
	}
	return out.Entries, xml.Unmarshal(got, &out)
}

func (s *davSys) Lstat(p string) (st Stat, err error) {
	all, err := s.propfind(p, "0")
	if err != nil {
		return st, err
	}
	e := all[0].Prop
	when, err := time.Parse(http.TimeFormat, e.Modified)
	st = Stat{Type: Regular, Mode: 0o644, Nlink: 1, Mtime: when.UnixNano(), Ctime: when.UnixNano(), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	if e.Dir != nil {
		st.Type, st.Mode = Dir, 0o755
		return st, nil
	}
	st.Size, _ = strconv.ParseInt(e.Length, 10, 64)
	return st, err
}

func (s *davSys) ReadDir(p string) (names []string, err error) {
	st, err := s.Lstat(p)
	if err != nil {
		return nil, err
	}
	if st.Type != Dir {
		return nil, syscall.ENOTDIR
	}
	all, err := s.propfind(p, "1")
	for _, e := range all[min(1, len(all)):] { // the first is the directory
		u, err := url.Parse(e.Href)
		if err != nil {
			return nil, err
		}
		names = append(names, path.Base(u.Path))
	}
	return names, err
}

func (s *davSys) Mkdir(p string, _ uint32) error { _, err := s.do("MKCOL", p, nil, nil); return err }

// kind demands a directory, or anything else.
func (s *davSys) kind(p string, dir bool) error {
	st, err := s.Lstat(p)
	switch {
	case err != nil:
		return err
	case dir && st.Type != Dir:
		return syscall.ENOTDIR
	case !dir && st.Type == Dir:
		return syscall.EISDIR
	}
	return nil
}

func (s *davSys) Unlink(p string) error {
	if err := s.kind(p, false); err != nil {
		return err
	}
	_, err := s.do("DELETE", p, nil, nil)
	return err
}

func (s *davSys) Rmdir(p string) error {
	if err := s.kind(p, true); err != nil {
		return err
	}
	if names, err := s.ReadDir(p); err != nil || len(names) > 0 {
		return syscall.ENOTEMPTY
	}
	_, err := s.do("DELETE", p, nil, nil)
	return err
}

// Rename is what a client must make of MOVE to be a rename: the protocol removes whole trees.
func (s *davSys) Rename(from, to string, flag RenameFlag) error {
	if flag == Exchange {
		return syscall.EOPNOTSUPP
	}
	src, err := s.Lstat(from)
	if err != nil {
		return err
	}
	if from == to {
		return nil
	}
	if strings.HasPrefix(to, from+"/") {
		return syscall.EINVAL
	}
	over := "F"
	if dst, err := s.Lstat(to); err == nil && flag == Replace {
		switch over = "T"; {
		case src.Type == Dir && dst.Type != Dir:
			return syscall.ENOTDIR
		case src.Type != Dir && dst.Type == Dir:
			return syscall.EISDIR
		case dst.Type == Dir:
			if names, err := s.ReadDir(to); err != nil || len(names) > 0 {
				return syscall.ENOTEMPTY
			}
		}
	}
	_, err = s.do("MOVE", from, nil, map[string]string{"Destination": s.base + (&url.URL{Path: to}).EscapedPath(), "Overwrite": over})
	return err
}

func (s *davSys) Truncate(p string, size int64) error { return (&davFile{s: s, p: p}).Truncate(size) }

func (s *davSys) Statfs() (Space, error) {
	got, err := s.do("PROPFIND", "/", []byte(`<propfind xmlns="DAV:"><prop><quota-available-bytes/><quota-used-bytes/></prop></propfind>`), map[string]string{"Depth": "0"})
	if err != nil {
		return Space{}, err
	}
	var out struct {
		Avail uint64 `xml:"response>propstat>prop>quota-available-bytes"`
		Used  uint64 `xml:"response>propstat>prop>quota-used-bytes"`
	}
	err = xml.Unmarshal(got, &out)
	return Space{Total: out.Used + out.Avail, Avail: out.Avail}, err
}

func (s *davSys) Open(p string, flag int, _ uint32) (File, error) {
	st, err := s.Lstat(p)
	f := &davFile{s: s, p: p, write: flag&(os.O_WRONLY|os.O_RDWR) != 0}
	switch {
	case err == nil && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, syscall.EEXIST
	case err == nil && st.Type == Dir && (f.write || flag&os.O_CREATE != 0):
		return nil, syscall.EISDIR
	case err == nil && f.write && flag&os.O_TRUNC != 0, err != nil && flag&os.O_CREATE != 0:
		err = f.put(nil)
	}
	return f, err
}

// davMost is the size that the client can send.
const davMost = 64 << 20

type davFile struct {
	s     *davSys
	p     string
	write bool
}

func (f *davFile) get() ([]byte, error) { return f.s.do("GET", f.p, nil, nil) }
func (f *davFile) put(b []byte) error   { _, err := f.s.do("PUT", f.p, b, nil); return err }

func (f *davFile) Pread(p []byte, off int64) (int, error) {
	st, err := f.Stat()
	if err != nil || off >= st.Size || len(p) == 0 {
		return 0, err
	}
	got, err := f.s.do("GET", f.p, nil, map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)})
	return copy(p, got), err
}

func (f *davFile) Pwrite(p []byte, off int64) (int, error) {
	if !f.write {
		return 0, syscall.EBADF
	}
	if off > davMost {
		return 0, syscall.EFBIG
	}
	b, err := f.get()
	if err != nil {
		return 0, err
	}
	if grow := off + int64(len(p)) - int64(len(b)); grow > 0 {
		b = append(b, make([]byte, grow)...)
	}
	copy(b[off:], p)
	return len(p), f.put(b)
}

func (f *davFile) Append(p []byte) (int, error) {
	b, err := f.get()
	if err != nil {
		return 0, err
	}
	return len(p), f.put(append(b, p...))
}

func (f *davFile) Truncate(size int64) error {
	switch {
	case size < 0:
		return syscall.EINVAL
	case size > davMost:
		return syscall.EFBIG
	}
	b, err := f.get()
	if err != nil {
		return err
	}
	return f.put(append(b, make([]byte, max(0, size-int64(len(b))))...)[:size])
}

func (f *davFile) Stat() (Stat, error) { return f.s.Lstat(f.p) }
func (f *davFile) Sync() error         { return nil }
func (f *davFile) Close() error        { return nil }

// What WebDAV does not have.

func (f *davFile) Allocate(uint32, int64, int64) error               { return syscall.EOPNOTSUPP }
func (f *davFile) Find(int64, bool) (int64, error)                   { return 0, syscall.EOPNOTSUPP }
func (f *davFile) CopyFrom(File, int64, int64, int64) (int64, error) { return 0, syscall.EOPNOTSUPP }
func (s *davSys) Mkfifo(string, uint32) error                        { return syscall.EOPNOTSUPP }
func (s *davSys) Symlink(string, string) error                       { return syscall.EOPNOTSUPP }
func (s *davSys) Readlink(string) (string, error)                    { return "", syscall.EOPNOTSUPP }
func (s *davSys) Link(string, string) error                          { return syscall.EOPNOTSUPP }
func (s *davSys) Chmod(string, uint32) error                         { return syscall.EOPNOTSUPP }
func (s *davSys) Chown(string, int, int) error                       { return syscall.EOPNOTSUPP }
func (s *davSys) Utimes(string, int64, int64) error                  { return syscall.EOPNOTSUPP }
func (s *davSys) SyncDir(string) error                               { return syscall.EOPNOTSUPP }
func (s *davSys) Setxattr(string, string, []byte, int) error         { return syscall.EOPNOTSUPP }
func (s *davSys) Getxattr(string, string) ([]byte, error)            { return nil, syscall.EOPNOTSUPP }
func (s *davSys) Listxattr(string) ([]string, error)                 { return nil, syscall.EOPNOTSUPP }
func (s *davSys) Removexattr(string, string) error                   { return syscall.EOPNOTSUPP }
