package merge

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shelffs/shelf/internal/ident"
)

const (
	maxName  = 255
	copyMark = " (conflict from "
)

// Names answers with the display name of a device. All replicas must have the same answers
// to show the same names.
type Names func(ident.DeviceID) string

// derivedName is the k-th choice of a name for an entry that cannot have its own: the first
// says device and day, further ones say more and more of the id. Only names made from the
// same stored name can be equal: the last mark splits a derived name again (ParseDerived),
// and where the stem had to be clipped the whole id is there.
func derivedName(s *Shown, k int, names Names) string {
	by, t := s.Origin()
	tag := copyMark + cleanDevice(names(by.Device)) + " " + t.Time().UTC().Format(time.DateOnly)
	stem, ext := splitExt(s.Raw)
	short := tag
	if k > 0 {
		short += fmt.Sprintf(" %x", s.ID[8:8+min(1<<k, 8)])
	}
	if k > 3 || len(stem)+len(short)+1+len(ext) > maxName {
		tag += " " + s.ID.String()
		if k > 3 {
			tag += fmt.Sprintf(".%d", k)
		}
		return clip(stem, maxName-len(tag)-1-len(ext)) + tag + ")" + ext
	}
	return stem + short + ")" + ext
}

// ParseDerived says where to look for an entry with a name that layout may have made up: the
// stored name that it would be derived from, or the id of the entry if that is in the name.
// It is false for nearly every name, which makes looking up a missing one cheap.
func ParseDerived(name string) (raw string, id NodeID, ok bool) {
	at := strings.LastIndex(name, copyMark)
	if at < 0 {
		return "", NodeID{}, false
	}
	end := strings.LastIndexByte(name, ')')
	if end < at {
		return "", NodeID{}, false
	}
	tag := name[at:end]
	if i := strings.IndexByte(tag[len(tag)-min(len(tag), 20):], '.'); i >= 0 { // a count behind the id
		tag = tag[:len(tag)-min(len(tag), 20)+i]
	}
	if i := strings.LastIndexByte(tag, ' '); len(tag)-i-1 == 2*len(id) {
		if b, err := hex.DecodeString(tag[i+1:]); err == nil {
			id = NodeID(b)
		}
	}
	return name[:at] + name[end+1:], id, true
}

// splitExt splits before the last dot, if what follows looks like an extension.
func splitExt(name string) (stem, ext string) {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 || len(name)-i > 17 || i == len(name)-1 {
		return name, ""
	}
	for _, c := range []byte(name[i+1:]) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-') {
			return name, ""
		}
	}
	return name[:i], name[i:]
}

// clip shortens s to at most n bytes without cutting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// cleanDevice makes a device's name fit to be part of a file name everywhere.
func cleanDevice(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`/\:*?"<>|()`, r) {
			return '-'
		}
		return r
	}, name)
	if name = strings.TrimSpace(clip(name, 48)); name == "" {
		return "a device"
	}
	return name
}

// Time is the wall clock part of a stamp.
func (t Stamp) Time() time.Time { return time.UnixMilli(int64(t >> 16)) }

// Nanos is the stamp as nanoseconds since 1970; the counter counts nanoseconds, so that
// later stamps give later times.
func (t Stamp) Nanos() int64 { return int64(t>>16)*1e6 + int64(t&0xffff) }

// StampAt is the lowest stamp of a moment.
func StampAt(now time.Time) Stamp {
	ms := now.UnixMilli()
	return Stamp(min(max(ms, 0), 1<<48-1)) << 16
}
