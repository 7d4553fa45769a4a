//go:build linux

package scenario

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A value is something that nobody else has written: in a file a segment, in a symlink its target.
//
//	<v000123:4096:payload>     payload = random(123, 4096)
//
// A file is any number of segments.
type value int

var (
	segmentHead = regexp.MustCompile(`<v(\d{6}):(\d{1,7}):`)
	linkTarget  = regexp.MustCompile(`^v(\d{6})$`)
)

func (v value) segment(size int) []byte {
	b := fmt.Appendf(nil, "<v%06d:%d:", v, size)
	return append(append(b, random(uint64(v), size)...), ">"...)
}

func (v value) target() string { return fmt.Sprintf("v%06d", v) }

// segment is a whole one within a file.
type segment struct {
	value    value
	from, to int
}

// parts finds the whole segments in a file; rest is how many bytes belong to none.
func segments(b []byte) (out []segment, rest int) {
	at := 0
	for {
		m := segmentHead.FindSubmatchIndex(b[at:])
		if m == nil {
			return out, rest + len(b) - at
		}
		v, _ := strconv.Atoi(string(b[at+m[2] : at+m[3]]))
		size, _ := strconv.Atoi(string(b[at+m[4] : at+m[5]]))
		from := at + m[0]
		if s := value(v).segment(size); bytes.HasPrefix(b[from:], s) {
			rest += from - at
			at = from + len(s)
			out = append(out, segment{value(v), from, at})
			continue
		}
		rest += m[1] // damaged: look on behind its head
		at += m[1]
	}
}

// valuesAt lists the values that a path shows, without following links.
func valuesAt(path string) ([]value, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		if err != nil {
			return nil, err
		}
		return valuesOfLink(to), nil
	case fi.IsDir():
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return valuesIn(b), nil
}

func valuesIn(b []byte) (out []value) {
	found, _ := segments(b)
	for _, p := range found {
		out = append(out, p.value)
	}
	return out
}

func valuesOfLink(target string) []value {
	if m := linkTarget.FindStringSubmatch(target); m != nil {
		v, _ := strconv.Atoi(m[1])
		return []value{value(v)}
	}
	return nil
}

// shown is all that a mount shows.
type shown struct {
	tree   string         // one line for each entry: what it is, and a digest of what it holds
	values map[value]bool // found whole
	torn   []string       // files with bytes that are no value
	files  int
}

// look reads a whole mount.
func look(mnt string) (shown, error) {
	s := shown{values: map[value]bool{}}
	var lines []string
	err := filepath.WalkDir(mnt, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == mnt {
			return err
		}
		fi, err := os.Lstat(p)
		if err != nil {
			return err
		}
		name, st := strings.TrimPrefix(p, mnt), fi.Sys().(*syscall.Stat_t)
		switch {
		case fi.IsDir():
			if name == "/.shelf" { // the past is each device's own
				return fs.SkipDir
			}
			lines = append(lines, fmt.Sprintf("%s/ %v", name, fi.Mode()))
		case fi.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			s.add(valuesOfLink(to))
			lines = append(lines, fmt.Sprintf("%s -> %s", name, to))
		default:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			_, rest := segments(b)
			if rest > 0 && string(b) != alikeBytes {
				s.torn = append(s.torn, fmt.Sprintf("%s: %d of %d bytes", name, rest, len(b)))
			}
			vs := valuesIn(b)
			s.add(vs)
			s.files++
			lines = append(lines, fmt.Sprintf("%s = %v %d+%d bytes, %v, %d names, %d %s", name, vs, len(b)-rest, rest, fi.Mode(), st.Nlink, fi.ModTime().UnixNano(), xattrs(p)))
		}
		return nil
	})
	slices.Sort(lines)
	s.tree = strings.Join(lines, "\n")
	return s, err
}

func (s *shown) add(vs []value) {
	for _, v := range vs {
		s.values[v] = true
	}
}
