package config

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

func TestParse(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	c, err := Parse(`
# a comment
cache_size = "20 GiB"    # another
mountpoint = '~/My Shelf'
name = "J\u00fcrgens # laptop"
brake = false
allow_other = true
names = "windows"
on_conflict = 'notify-send "$SHELF_SUMMARY"'
listen = [ ":4001" , "/ip4/10.0.0.1/tcp/4001", ] # and one more
`)
	want := Config{CacheSize: 20 << 30, Mountpoint: "/home/me/My Shelf", Name: "Jürgens # laptop", NoBrake: true, AllowOther: true, Names: "windows",
		OnConflict: `notify-send "$SHELF_SUMMARY"`, Listen: []string{":4001", "/ip4/10.0.0.1/tcp/4001"}}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("%+v %v", c, err)
	}
	if c, err := Parse("cache_size = 100_000_000\r\nlisten = []\r\n"); err != nil || c.CacheSize != 1e8 || len(c.Listen) != 0 {
		t.Errorf("%+v %v", c, err)
	}
	for text, says := range map[string]string{
		"\ncache = \"1GiB\"":         "there is no setting \"cache\"",
		"name":                       "line 1",
		"= 3":                        "line 1",
		"[daemon]":                   "there is no setting \"daemon\"",
		"name = ":                    "line 1 (last key \"name\")",
		"name = laptop":              "line 1 (last key \"name\")",
		"name = \"laptop":            "line 1 (last key \"name\")",
		"name = 'laptop":             "line 1 (last key \"name\")",
		"name = \"a\" b":             "line 1",
		"name = [\"a\", \"b\"]":      "line 1 (last key \"name\")",
		"name = []":                  "line 1 (last key \"name\")",
		"name = \"a\"\nname = \"b\"": "line 2 (last key \"name\")",
		"name = \"a/b\"":             "device name",
		"name = \" a\"":              "device name",
		"cache_size = \"-1GiB\"":     "size",
		"cache_size = \"1MiB\"":      "at least 16 MiB",
		"mountpoint = \"Shelf\"":     "absolute",
		"mountpoint = \"~other/x\"":  "absolute",
		"allow_other = \"yes\"":      "line 1 (last key \"allow_other\")",
		"names = \"linux\"":          "say exact, windows or mac",
		"names = \"\"":               "say exact, windows or mac",
		"listen = [\"nonsense\"]":    "address",
		"listen = [\":99999\"]":      "address",
		"listen = [\":1\" \":2\"]":   "line 1 (last key \"listen\")",
		"listen = [\":1\"":           "line 1",
		"name = \"\\u0007\"":         "device name",
	} {
		_, err := Parse(text)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want it to say %q", text, err, says)
		}
	}
}

func TestLoad(t *testing.T) {
	h := Home(t.TempDir())
	if c, err := Load(h); err != nil || !reflect.DeepEqual(c, Config{}) {
		t.Errorf("without a file: %+v %v", c, err)
	}
	if err := WriteFile(h.ConfigFile(), []byte("name = 'x'\nnonsense = 1\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(h); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), h.ConfigFile()) {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("cache_size = \"1GiB\"\n")
	f.Add("listen = [ \":1\", 'a', 12 ] # x")
	f.Add("name = \"\\u12\"")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			if !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.NotExist) {
				t.Fatalf("%v", err)
			}
			return
		}
		if c.CacheSize < 0 || c.Mountpoint != "" && !filepath.IsAbs(c.Mountpoint) || c.Name != "" && CheckName(c.Name) != nil {
			t.Fatalf("%+v", c)
		}
	})
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "1": 1, "512B": 512, "10GiB": 10 << 30, "10 gib": 10 << 30, "10G": 10 << 30, "1.5k": 1536,
		" 2 TB ": 2e12, "1MB": 1e6, "0.5KiB": 512, "1P": 1 << 50,
	} {
		if n, err := ParseSize(s); err != nil || n != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", s, n, err, want)
		}
	}
	for _, s := range []string{"", "GiB", "-1", "1e9", "0x10", "inf", "nan", "1.2.3", "10 XB", "99999999PiB", "1_000", "１０"} {
		if n, err := ParseSize(s); !errs.Is(err, errs.Invalid) {
			t.Errorf("ParseSize(%q) = %d, %v", s, n, err)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 10 << 30: "10 GiB", 1<<20 - 1: "1 MiB",
		123456789: "118 MiB", math.MaxInt64: "8192 PiB", -2048: "-2 KiB",
	} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q, want %q", n, got, want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("10GiB")
	f.Add(".B")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseSize(s); err == nil && n < 0 {
			t.Fatalf("%q: %d", s, n)
		}
	})
}

func TestListenAddrs(t *testing.T) {
	got := ListenAddrs([]string{":4001", "192.168.1.5:80", "[::1]:0", "/ip4/0.0.0.0/tcp/1"})
	want := []string{"/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1", "/ip6/::/tcp/4001", "/ip6/::/udp/4001/quic-v1",
		"/ip4/192.168.1.5/tcp/80", "/ip4/192.168.1.5/udp/80/quic-v1", "/ip6/::1/tcp/0", "/ip6/::1/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/1"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	for _, a := range got {
		if err := CheckListen(a); err != nil {
			t.Error(err)
		}
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"laptop": "laptop", "laptop.example.org": "laptop", "": "device", "...": "device", "a b/c": "abc",
		"jürgen": "jürgen", "\xff\xfe": "device", strings.Repeat("ü", 40): strings.Repeat("ü", 32),
	} {
		if got := cleanName(in); got != want {
			t.Errorf("cleanName(%q) = %q, want %q", in, got, want)
		}
	}
	if err := CheckName(DefaultName()); err != nil {
		t.Error(err)
	}
	if host, err := os.Hostname(); err == nil && cleanName(host) != DefaultName() {
		t.Errorf("%q is not made from %q", DefaultName(), host)
	}
}
