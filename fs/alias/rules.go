// Package alias says how the names of a share show on a system that has other ideas of names:
// one that takes "Readme" and "README" for the same, or that cannot have "a:b" at all. Pure.
//
// A name shows as it is, unless it is not legal there, or another of its directory counts as
// the same: of those the first in the order of bytes keeps its name. All others show as an
// alias, "Readme~7K3QF2HM.md": the name, made legal, with eight characters that are a hash of
// it. So what a name shows as depends on the names of its directory alone, not on time or
// order, and nothing of it is ever written down.
//
// Whoever wants to find a name that is spelled otherwise needs an index: Keys says under what
// each name of a directory is to be found, a class is all names of one key, Show and Find say
// what of a class shows how.
package alias

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Rules are a system's ideas of names.
type Rules uint8

const (
	Exact   Rules = iota // every name is one of its own: Linux
	Windows              // letters of both cases are the same; some characters and names cannot be
	Mac                  // letters of both cases are the same, however they are composed; only Unicode
)

var words = [...]string{Exact: "exact", Windows: "windows", Mac: "mac"}

func (r Rules) String() string { return words[r] }

// Parse reads the word for rules; "" are those of the system named by goos.
func Parse(word, goos string) (Rules, error) {
	switch {
	case word == "" && goos == "windows":
		return Windows, nil
	case word == "" && (goos == "darwin" || goos == "ios"):
		return Mac, nil
	case word == "":
		return Exact, nil
	}
	for r, w := range words {
		if w == word {
			return Rules(r), nil
		}
	}
	return Exact, fmt.Errorf("there are no names %q; there are exact, windows, mac", word)
}

// Version names the rules for an index by Keys: another one asks for another index. It changes
// with the tables of Unicode.
func (r Rules) Version() string { return words[r] + " 1 " + norm.Version + " " + unicode.Version }

// Folds reports whether different names can count as the same.
func (r Rules) Folds() bool { return r != Exact }

// fold is the same for names that count as the same.
func (r Rules) fold(name string) string {
	if ascii(name) {
		return strings.ToLower(name)
	}
	switch name = norm.NFC.String(name); r {
	case Mac:
		return norm.NFC.String(cases.Fold().String(name))
	case Windows: // letter by letter: ß is not ss there
		return norm.NFC.String(strings.Map(simpleFold, name))
	}
	return name
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// simpleFold is one letter for all that are the same but for their case.
func simpleFold(r rune) rune {
	least := r
	for x := unicode.SimpleFold(r); x != r; x = unicode.SimpleFold(x) {
		least = min(least, x)
	}
	if least >= 'A' && least <= 'Z' { // as strings.ToLower has it
		least += 'a' - 'A'
	}
	return least
}

// Legal reports whether the system can have a file of that name.
func (r Rules) Legal(name string) bool { return r == Exact || r.legalize(name) == name }

// replace puts an underscore in the place of every character that cannot be.
func (r Rules) replace(name string) string {
	var bad func(rune) bool
	switch r {
	case Exact:
		return name
	case Windows:
		bad = func(c rune) bool { return c < ' ' || strings.ContainsRune(`<>:"|?*\`, c) }
	default:
		bad = func(rune) bool { return false }
	}
	if utf8.ValidString(name) && !strings.ContainsFunc(name, bad) {
		return name
	}
	var b strings.Builder
	for i, c := range name {
		if bad(c) || c == utf8.RuneError && !strings.HasPrefix(name[i:], string(utf8.RuneError)) {
			c = '_'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// legalize makes a legal name of any. Names are at most 255 bytes, so that no system finds
// them too long. What looks like a long alias is not legal: it could be one.
func (r Rules) legalize(name string) string {
	name = r.replace(name)
	if i := strings.LastIndexByte(name, '~'); i >= 0 {
		if _, long, _ := unmark(r.fold(name)); long {
			name = name[:i] + "_" + name[i+1:]
		}
	}
	if r != Windows {
		return name
	}
	if end := len(strings.TrimRight(name, ". ")); end < len(name) {
		name = name[:end] + strings.Repeat("_", len(name)-end)
	}
	first, rest := name, ""
	if i := strings.IndexByte(name, '.'); i >= 0 {
		first, rest = name[:i], name[i:]
	}
	if device(strings.TrimRight(first, " ")) {
		name = first + "_" + rest
	}
	return name
}

// device reports whether Windows takes a name for a device, with any ending.
func device(s string) bool {
	switch s = strings.ToUpper(s); s {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	port, ok := strings.CutPrefix(s, "COM")
	if !ok {
		port, ok = strings.CutPrefix(s, "LPT")
	}
	return ok && utf8.RuneCountInString(port) == 1 && strings.Contains("0123456789¹²³", port)
}
