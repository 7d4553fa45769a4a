package alias

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxName is the longest name, in bytes.
const maxName = 255

// Lengths of the mark of an alias, without its tilde. An alias that had to be shortened says
// nothing certain about its name but the mark, which is a longer one then.
const (
	shortMark = 8
	longMark  = 26
	rankRoom  = 8 // whether a mark is long does not depend on the rank
)

var markChars = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

func mark(name string, n int) string {
	sum := sha256.Sum256([]byte("shelf1/alias\x00" + name))
	return "~" + markChars.EncodeToString(sum[:])[:n]
}

// alias is the rank-th choice of an alias: the first, unless two names have the same.
func (r Rules) alias(name string, rank int) string {
	stem, ext := splitExt(r.legalize(name))
	tag := mark(name, shortMark)
	if rank > 1 {
		tag += "-" + strconv.Itoa(rank)
	}
	if len(stem)+1+shortMark+rankRoom+len(ext) <= maxName {
		return stem + tag + ext
	}
	tag = mark(name, longMark)
	return clip(stem, maxName-len(tag)-len(ext)) + tag + ext
}

// splitExt splits before the last dot, if what follows looks like an extension.
func splitExt(name string) (stem, ext string) {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 || !plainExt(name[i:]) {
		return name, ""
	}
	return name[:i], name[i:]
}

func plainExt(s string) bool {
	if len(s) < 2 || len(s) > 17 || s[0] != '.' {
		return false
	}
	for _, c := range []byte(s[1:]) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// clip shortens s to at most n bytes without cutting a character.
func clip(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// unmark takes the mark out of the folded form of an alias. long: it was a long one, so that
// what is left is not all of the name.
func unmark(folded string) (base string, long, ok bool) {
	i := strings.LastIndexByte(folded, '~')
	if i < 0 {
		return "", false, false
	}
	tag, ext := folded[i+1:], ""
	if dot := strings.IndexByte(tag, '.'); dot >= 0 {
		tag, ext = tag[:dot], tag[dot:]
		if !plainExt(ext) {
			return "", false, false
		}
	}
	tag, rank, ranked := strings.Cut(tag, "-")
	if n, err := strconv.Atoi(rank); ranked && (err != nil || n < 2 || strconv.Itoa(n) != rank) {
		return "", false, false
	}
	if len(tag) != shortMark && (len(tag) != longMark || ranked) {
		return "", false, false
	}
	if strings.ContainsFunc(tag, func(c rune) bool {
		return c >= utf8.RuneSelf || !strings.ContainsRune("0123456789abcdefghjkmnpqrstvwxyz", c)
	}) {
		return "", false, false
	}
	return folded[:i] + ext, len(tag) == longMark, true
}

// Keys lists what a name of a directory is to be found under. Nearly always it is one.
func (r Rules) Keys(name string) []string {
	if r == Exact {
		return nil
	}
	keys := []string{r.fold(name)}
	add := func(k string) {
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	if base, long, ok := unmark(keys[0]); ok && !long { // it could be another's alias
		add(base)
	}
	if !r.Legal(name) {
		add(r.fold(r.replace(name))) // what it has in common with names derived from it
		add(r.Home(name))
	}
	return keys
}

// Home is the key of the class that says what a name of a directory shows as.
func (r Rules) Home(name string) string { return r.fold(r.legalize(name)) }

// Key is where to look for what shows as a name, in any spelling. walk: the index does not tell,
// it is the alias of a name of nearly 255 bytes, and the directory must be searched (IsAlias).
func (r Rules) Key(spelled string) (key string, walk bool) {
	key = r.fold(spelled)
	if base, long, ok := unmark(key); ok {
		return base, long
	}
	return key, false
}

// IsAlias reports whether somebody spelled the alias that a name has if it has a long one.
func (r Rules) IsAlias(spelled, name string) bool {
	return len(name) > maxName/2 && r.fold(r.alias(name, 1)) == r.fold(spelled)
}

// Show is what a name of a directory shows as. class has all names of the directory that are
// found under its Home, itself among them; others do no harm.
func (r Rules) Show(name string, class []string) string {
	if r == Exact || r.keeps(name, class) {
		return name
	}
	return r.alias(name, r.rank(name, class))
}

// keeps reports whether a name shows as it is.
func (r Rules) keeps(name string, class []string) bool {
	if !r.Legal(name) {
		return false
	}
	k := r.fold(name)
	return !slices.ContainsFunc(class, func(o string) bool { return o < name && r.fold(o) == k && r.Legal(o) })
}

// rank counts the aliases before that of a name where several would be the same: after names
// that are taken by files, in the order of bytes.
func (r Rules) rank(name string, class []string) int {
	home, first := r.Home(name), r.fold(r.alias(name, 1))
	var peers []string // of the same alias
	var taken []string
	for _, o := range class {
		if o != name && r.Home(o) == home && !r.keeps(o, class) && r.fold(r.alias(o, 1)) == first {
			peers = append(peers, o)
		} else if r.Legal(o) {
			taken = append(taken, r.fold(o))
		}
	}
	rank := 0
	for _, o := range append(peers, name) {
		if o <= name { // itself included
			for rank++; slices.Contains(taken, r.fold(r.alias(name, rank))); rank++ {
			}
		}
	}
	return rank
}

// Find is the name of a class (Key) that shows as what somebody spelled. Exactly spelled, it
// is the name itself: who knows it from elsewhere must not get another file. An alias is
// understood when it is not needed any more, too: who removes all that a listing had must not
// miss the second of two names because the first is gone.
func (r Rules) Find(spelled string, class []string) (string, bool) {
	if slices.Contains(class, spelled) {
		return spelled, true
	}
	k := r.fold(spelled)
	for _, name := range class {
		if r.fold(r.Show(name, class)) == k {
			return name, true
		}
	}
	for _, name := range class {
		if r.fold(r.alias(name, 1)) == k {
			return name, true
		}
	}
	return "", false
}
