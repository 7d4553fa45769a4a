package alias

import (
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// index is a directory with its names by key.
func index(r Rules, dir []string) map[string][]string {
	at := map[string][]string{}
	for _, n := range dir {
		for _, k := range r.Keys(n) {
			at[k] = append(at[k], n)
		}
	}
	return at
}

// find looks a spelling up as a filesystem does.
func find(r Rules, dir []string, at map[string][]string, spelled string) (string, bool) {
	if slices.Contains(dir, spelled) {
		return spelled, true
	}
	key, walk := r.Key(spelled)
	if !walk {
		return r.Find(spelled, at[key])
	}
	for _, n := range dir {
		if r.IsAlias(spelled, n) {
			return n, true
		}
	}
	return "", false
}

// bijection demands that every name of a directory shows as a legal one that no other counts
// as, that it is found by it in any spelling, and that only a clash takes a legal name away.
func bijection(t interface {
	Helper()
	Fatalf(string, ...any)
}, r Rules, dir []string) {
	t.Helper()
	at, shown := index(r, dir), map[string]string{}
	for _, n := range dir {
		s := r.Show(n, at[r.Home(n)])
		if whole := r.Show(n, dir); s != whole {
			t.Fatalf("%v: %q shows as %q, and as %q when all of the directory is looked at: %q", r, n, s, whole, dir)
		}
		if _, long := r.Key(s); r.Folds() && !long && !r.Legal(s) || len(s) > maxName || s == "" {
			t.Fatalf("%v: %q shows as %q, which cannot be", r, n, s)
		}
		k := s
		if r.Folds() {
			k = r.fold(s)
		}
		if o, twice := shown[k]; twice {
			t.Fatalf("%v: %q and %q both show as %q, among %q", r, n, o, s, dir)
		}
		shown[k] = n
		if s != n && r.Legal(n) && len(at[r.fold(n)]) == 1 {
			t.Fatalf("%v: %q shows as %q, and nothing is in its way: %q", r, n, s, dir)
		}
		for _, spelled := range []string{s, strings.ToUpper(s), strings.ToLower(s)} {
			if r == Exact {
				spelled = s
			}
			if slices.Contains(dir, spelled) && spelled != s { // means that one
				continue
			}
			if r.Folds() && r.fold(spelled) != k { // not the same there: "ß" and "SS"
				continue
			}
			if got, ok := find(r, dir, at, spelled); !ok || got != n && spelled != got {
				t.Fatalf("%v: %q shows as %q; spelled %q it is %q %v, among %q", r, n, s, spelled, got, ok, dir)
			}
		}
	}
	for _, n := range dir { // an alias that is not needed now is understood, unless it is another's
		a := r.alias(n, 1)
		if got, ok := find(r, dir, at, a); r.Folds() && (!ok || got != n && shown[r.fold(a)] != got && got != a && mark(got, shortMark) != mark(n, shortMark)) {
			t.Fatalf("%v: %q, the alias of %q, is %q %v, among %q", r, a, n, got, ok, dir)
		}
	}
	for _, n := range dir { // what is spelled exactly is what it is everywhere
		if got, ok := find(r, dir, at, n); !ok || got != n {
			t.Fatalf("%v: %q is %q", r, n, got)
		}
	}
}

// twins are two names that count as the same and have the same mark (found by trying).
var twins = [2]string{"tHe SAMe mARk TwICe, BY cAse", "The sAme Mark TwICE, bY caSe"}

var bits = []string{"a", "A", "b", "ß", "ss", "SS", "é", "e\u0301", "É", "K", "\u212a", "k", "ſ", "s", "İ", "i̇", "i", "I", "ı", "Σ", "ς", ".", " ", ":", "?", "~", "-2",
	"\xff", "�", "\x01", "NUL", "con", "COM¹", ".txt", ".TXT", ".tar.gz", "~7K3QF2HM", "~7k3qf2hm", "~7K3QF2HM-2", " (conflict from x 2026-01-01)", strings.Repeat("long", 30), "\u0345", "ᾳ"}

func draw(t *rapid.T) []string {
	one := rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(bits), 1, 5).Draw(t, "bits"), "")
		return strings.ToValidUTF8(s[:min(len(s), maxName)], "\xfe")
	})
	dir := rapid.SliceOfNDistinct(one, 1, 8, rapid.ID[string]).Draw(t, "dir")
	return slices.DeleteFunc(dir, func(s string) bool { return s == "." || s == ".." })
}

func TestBijection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := draw(t)
		for _, r := range []Rules{Exact, Windows, Mac} {
			bijection(t, r, dir)
			at := index(r, dir)
			var more []string // somebody makes files that are called as the aliases are
			for _, n := range dir {
				if s := r.Show(n, at[r.Home(n)]); !slices.Contains(dir, s) {
					more = append(more, s)
				}
			}
			bijection(t, r, append(more, dir...))
		}
	})
}

func FuzzBijection(f *testing.F) {
	f.Add("Readme.md", "README.md", "readme.md")
	f.Add("a:b", "a?b", "a_b")
	f.Add("NUL", "nul.txt", "NUL_")
	f.Add(strings.Repeat("x", 255), strings.Repeat("X", 255), "x")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		dir := slices.Sorted(maps.Keys(map[string]bool{a: true, b: true, c: true}))
		if slices.ContainsFunc(dir, func(s string) bool {
			return s == "" || s == "." || s == ".." || len(s) > maxName || strings.ContainsAny(s, "/\x00")
		}) {
			return
		}
		for _, r := range []Rules{Exact, Windows, Mac} {
			bijection(t, r, dir)
		}
	})
}

// What a name shows as depends on nothing but the names.
func TestOrderDoesNotMatter(t *testing.T) {
	dir := []string{"Readme", "README", "readme", "a:b", "a?b", "a_b", "A_B", twins[0], twins[1]}
	rng := rand.New(rand.NewSource(1))
	for _, r := range []Rules{Windows, Mac} {
		want := map[string]string{}
		for range 20 {
			rng.Shuffle(len(dir), func(i, j int) { dir[i], dir[j] = dir[j], dir[i] })
			for _, n := range dir {
				s := r.Show(n, dir)
				if w := want[n]; w != "" && w != s {
					t.Fatalf("%v: %q shows as %q, and as %q", r, n, s, w)
				}
				want[n] = s
			}
		}
	}
}

func TestShow(t *testing.T) {
	for _, c := range []struct {
		r    Rules
		name string
		with []string
		want string
	}{
		{Exact, "Readme.md", []string{"README.md"}, "Readme.md"},
		{Exact, "a:b\xff", nil, "a:b\xff"},
		{Windows, "Readme.md", nil, "Readme.md"},
		{Windows, "README.md", []string{"Readme.md", "readme.md"}, "README.md"},
		{Windows, "Readme.md", []string{"README.md"}, "Readme" + mark("Readme.md", 8) + ".md"},
		{Windows, "a:b.txt", nil, "a_b" + mark("a:b.txt", 8) + ".txt"},
		{Windows, "nul.tar.gz", nil, "nul_.tar" + mark("nul.tar.gz", 8) + ".gz"},
		{Windows, "end. ", nil, "end__" + mark("end. ", 8)},
		{Windows, "Straße", []string{"STRASSE"}, "Straße"},
		{Mac, "Straße", []string{"STRASSE"}, "Straße" + mark("Straße", 8)},
		{Mac, "a:b", nil, "a:b"},
		{Mac, "e\u0301", []string{"\u00e9"}, "e\u0301"},
		{Mac, "\u00e9", []string{"e\u0301"}, "\u00e9" + mark("\u00e9", 8)},
		{Mac, "\xff", nil, "_" + mark("\xff", 8)},
		{Windows, ".profile", []string{".Profile"}, ".profile" + mark(".profile", 8)},
	} {
		if got := c.r.Show(c.name, append(c.with, c.name)); got != c.want {
			t.Errorf("%v: %q among %q shows as %q, want %q", c.r, c.name, c.with, got, c.want)
		}
	}
}

func TestSameMark(t *testing.T) {
	first := Windows.alias(twins[0], 1)
	if a, b := mark(twins[0], shortMark), mark(twins[1], shortMark); a != b {
		t.Fatalf("%s and %s: these do not have the same mark any more", a, b)
	}
	for _, dir := range [][]string{
		{twins[0], twins[1]}, // one keeps its name
		{twins[0], twins[1], "THE SAME MARK TWICE, BY CASE"},
		{twins[0], twins[1], "THE SAME MARK TWICE, BY CASE", first, Windows.alias(twins[1], 2)},
	} {
		bijection(t, Windows, dir)
		bijection(t, Mac, dir)
	}
}

// Names of every length near the longest, with a file in the way of their alias.
func TestLongNames(t *testing.T) {
	for n := maxName - 40; n <= maxName; n++ {
		name := strings.Repeat("x", n-1) + "."
		dir := []string{name, strings.ToUpper(name)}
		if a := Windows.alias(name, 1); Windows.Legal(a) {
			dir = append(dir, a)
		}
		bijection(t, Windows, dir)
	}
}

func TestParse(t *testing.T) {
	for _, r := range []Rules{Exact, Windows, Mac} {
		if got, err := Parse(r.String(), "plan9"); got != r || err != nil {
			t.Error(r, got, err)
		}
	}
	for goos, want := range map[string]Rules{"linux": Exact, "freebsd": Exact, "windows": Windows, "darwin": Mac} {
		if got, err := Parse("", goos); got != want || err != nil {
			t.Error(goos, got, err)
		}
	}
	if _, err := Parse("Windows ", ""); err == nil {
		t.Error("nonsense accepted")
	}
}

func BenchmarkKeys(b *testing.B) {
	for _, name := range []string{"report-2026.pdf", "Report-2026.PDF", "Überblick.pdf"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Windows.Keys(name)
			}
		})
	}
}
