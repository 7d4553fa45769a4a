package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

func TestSafeText(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢 name":  "plain ü 漢 name",
		"\x1b[2Jgone":     `\x1b[2Jgone`,
		"a\nb\tc\r":       `a\x0ab\x09c\x0d`,
		"\xff\xfe":        `\xff\xfe`,
		"right\u202eleft": `right\u202eleft`,
		"\u0085":          `\x85`,
		"\uFFFD":          `\ufffd`,
	} {
		if got := safe(in); got != want {
			t.Errorf("safe(%q) = %q, want %q", in, got, want)
		}
	}
	if safeText("a\x07\nb") != "a\\x07\nb" {
		t.Error("lines must stay lines")
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		420 * time.Microsecond: "0.42 ms", 12 * time.Millisecond: "12 ms", 1500 * time.Millisecond: "1.5 s",
		42 * time.Second: "42 s", 3 * time.Minute: "3 min", 5 * time.Hour: "5 h", 100 * time.Hour: "4 days", 17000 * time.Hour: "708 days",
		22000 * time.Hour: "2.5 years", 78840 * time.Hour: "9 years", 200000 * time.Hour: "22.8 years",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 files", 1: "1 file", 999: "999 files", 1000: "1,000 files", 1234567: "1,234,567 files"} {
		if got := files(n); got != want {
			t.Errorf("files(%d) = %q", n, got)
		}
	}
	for _, c := range []struct {
		done, total int64
		want        string
	}{{0, 10, "0%"}, {1, 1e9, "1%"}, {999, 1000, "99%"}, {10, 10, "100%"}, {0, 0, "100%"}, {-1, 10, "0%"}} {
		if got := percent(c.done, c.total); got != c.want {
			t.Errorf("percent(%d, %d) = %q", c.done, c.total, got)
		}
	}
	if list([]string{"a", "b", "c"}) != "a, b and c" || list(nil) != "" {
		t.Error("list")
	}
	if got := shellQuote("it's"); got != `'it'\''s'` {
		t.Error(got)
	}
}

func TestSharePath(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	mount := filepath.Join(dir, "m")
	if err := os.MkdirAll(filepath.Join(mount, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(mount, "sub"))
	for in, want := range map[string]string{
		"a":                     "/sub/a",
		"../a":                  "/a",
		"..":                    "/",
		".":                     "/sub",
		"a/../b//c":             "/sub/b/c",
		mount:                   "/",
		mount + "/":             "/",
		mount + "/x y":          "/x y",
		mount + "other":         mount + "other",
		"/photos":               "/photos",
		"/photos/../notes/":     "/notes",
		"/":                     "/",
		"../..":                 "", // outside
		"..name":                "/sub/..name",
		filepath.Join(dir, "x"): filepath.Join(dir, "x"),
	} {
		got, err := sharePath(in, mount)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("sharePath(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	if got, err := sharePath("/a/b", ""); got != "/a/b" || err != nil {
		t.Errorf("unmounted: %q %v", got, err)
	}
	if _, err := sharePath("a", ""); !isKind(err, controlapi.KindUsage) {
		t.Errorf("unmounted, relative: %v", err)
	}
}

func TestPhraseFields(t *testing.T) {
	got := phraseFields(" 1 Abandon 2. ability\n3) able 4: about\tabove ")
	if !slices.Equal(got, strings.Fields("abandon ability able about above")) {
		t.Errorf("%q", got)
	}
}

func TestMeterWaitsAndWipes(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	m := &meter{w: &out, began: now, now: func() time.Time { return now }}
	m.moved(controlapi.Progress{Bytes: 1 << 20, TotalBytes: 4 << 20})
	if out.Len() > 0 {
		t.Errorf("too early: %q", out.String())
	}
	now = now.Add(2 * time.Second)
	m.moved(controlapi.Progress{Bytes: 1 << 20, TotalBytes: 4 << 20})
	if got := out.String(); got != "\r25%  1 MiB of 4 MiB, 512 KiB/s, 6 s left" {
		t.Errorf("%q", got)
	}
	out.Reset()
	m.line("short")
	m.done()
	if got := out.String(); !strings.HasPrefix(got, "\rshort   ") || !strings.HasSuffix(got, "\r     \r") {
		t.Errorf("%q", got)
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"up", "down", "pin", "unpin", "status", "sync", "ls", "why", "free"}
	for name, want := range map[string]string{
		"pi": "pin", "st": "status", "s": "status sync", "sttaus": "status", "stauts": "status", "upp": "up", "pni": "pin", "unpinn": "unpin",
		"u": "unpin up", "dwon": "down", "x": "", "": "", "demolish": "", "sl": "ls", "wyh": "why",
	} {
		if got := strings.Join(suggest(name, known), " "); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestQuoted(t *testing.T) {
	for p, want := range map[string]string{
		"/a/b.txt":      "/a/b.txt",
		"/a b":          "'/a b'",
		"/it's ä":       `'/it'\''s ä'`,
		"/bad\xffé":     `$'/bad\xffé'`,
		"/a'\\\n\u202e": `$'/a\'\\\x0a\xe2\x80\xae'`,
		"/\ufffd":       `$'/\xef\xbf\xbd'`,
	} {
		if got := quoted(p); got != want {
			t.Errorf("%q: %s, want %s", p, got, want)
		}
	}
}

func TestWhoKnew(t *testing.T) {
	version := func(device string, file int, knew ...int) controlapi.ConflictVersion {
		return controlapi.ConflictVersion{Kind: controlapi.KindFile, Device: controlapi.DeviceName{Name: device}, File: file, Knew: knew}
	}
	folder := controlapi.ConflictVersion{Kind: controlapi.KindDir}
	for _, c := range []struct {
		versions []controlapi.ConflictVersion
		want     []string
	}{
		{[]controlapi.ConflictVersion{version("a", 0), version("b", 0)}, []string{"It was changed on a and on b apart"}},
		{[]controlapi.ConflictVersion{version("a", 0), version("b", 1)}, []string{"The files from a and b got this name apart"}},
		{[]controlapi.ConflictVersion{version("a", 0, 1), version("b", 0)}, []string{"a had the version from b before it"}},
		{[]controlapi.ConflictVersion{version("a", 0), version("b", 0, 0)}, []string{"b had the version from a before it"}},
		{[]controlapi.ConflictVersion{version("a", 0, 1), version("a", 0)}, []string{"a wrote both, this one with the other before it: "}},
		{[]controlapi.ConflictVersion{version("a", 0), version("a", 0)}, []string{"a wrote both, neither"}},
		{[]controlapi.ConflictVersion{folder, version("b", 1)}, []string{"The folder and the file from b got this name apart"}},
		{[]controlapi.ConflictVersion{version("a", 0, 1), version("b", 0), version("c", 2)},
			[]string{"a had the version from b", "The files from a and c got", "The files from b and c got"}},
	} {
		got := whoKnew(controlapi.NameConflict{Versions: c.versions})
		same := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			same = same && strings.HasPrefix(got[i], c.want[i])
		}
		if !same {
			t.Errorf("%+v:\n%q, want %q", c.versions, got, c.want)
		}
	}
}

// A clock that is off is told in a person's words.
func TestClockText(t *testing.T) {
	for ms, want := range map[int64]string{78840 * 3600_000: "9 years ahead", -78840 * 3600_000: "9 years behind", 2500: "2.5 s ahead", -3 * 3600_000: "3 h behind"} {
		if got := clockText(&ms); got != want {
			t.Errorf("clockText(%d) = %q, want %q", ms, got, want)
		}
	}
	if clockText(nil) != "-" {
		t.Error("not known")
	}
}

// A home on a disk that cannot be written to says so, and what to do; other errors stay what they are.
func TestReadOnlyHome(t *testing.T) {
	a := &app{home: "/h"}
	e := controlapi.FromError(a.homeError(errs.E("test", errs.ReadOnly, "/h/lock", nil)))
	if e.Kind != "read_only" || e.Message != "the disk of the home /h is read-only" || e.Hint == "" {
		t.Errorf("%+v", e)
	}
	if err := errs.E("test", errs.NoSpace, "", nil); a.homeError(err) != err {
		t.Error("another error changed")
	}
}

// What is shown is said not to be all while names are still coming.
func TestReadyTextWhileNamesAreComing(t *testing.T) {
	from := func(name string, connected bool) controlapi.ComingFrom {
		return controlapi.ComingFrom{DeviceName: controlapi.DeviceName{Name: name}, Connected: connected}
	}
	r := controlapi.Ready{Mount: controlapi.Mount{Path: "/m"}}
	for want, list := range map[string][]controlapi.ComingFrom{
		"Shelf is mounted at /m: empty so far.":                                              nil,
		"Shelf is mounted at /m: empty so far; names are still coming from a.":               {from("a", true)},
		"Shelf is mounted at /m: empty so far; more names come when a and b can be reached.": {from("a", false), from("b", false)},
	} {
		r.Coming = list
		if got := readyText(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
