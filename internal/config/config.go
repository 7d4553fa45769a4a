package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/internal/errs"
)

// Defaults.
const (
	DefaultCacheSize = 10 << 30
	MinCacheSize     = 16 << 20 // smaller ones could not hold what one read needs
)

// Config is what the owner of a device may set, in HOME/config.toml. The zero value of a
// field means that it was not set.
type Config struct {
	CacheSize  int64         // cache_size = "10GiB": limit of the cache on this device, in bytes
	PinQuota   Quota         // pin_quota = "80%": how much of it pins may take
	Heat       Quota         // heat = "25%": how much of it files may take that are kept because they are used; see ParseHeat
	Mountpoint string        // mountpoint = "~/Shelf": where `shelf up` mounts; absolute once read
	Name       string        // name = "laptop": name of this device when it is made
	Via        string        // via = "webdav": how the namespace is shown; see CheckVia
	Names      string        // names = "windows": which names count as the same in the mount; see CheckNames
	OnConflict string        // on_conflict = "notify-send …": command of the shell, told of new conflicts
	History    time.Duration // history = "30d": how long old states of files are kept; < 0: not at all
	AllowOther bool          // allow_other = true: other users of this system are let into the mount
	NoBrake    bool          // brake = false: however much another device removes at once, follow it
	Sweep      string        // sweep = "refuse": a program that brings very many files; see CheckSweep
	Policies   []Policy      // [[policy]]: what programs may bring here; before those of package hydration
	Background Background    // [background]: when work that nobody waits for stands back
	Limits     Limits        // [limits]: bytes per second between devices, by network
	Listen     []string      // listen = ["/ip4/0.0.0.0/tcp/4001", ":4001"]: where it waits for its peers
}

// Load reads a home's configuration. A home without one has the zero Config. Unknown keys and
// values that make no sense are Invalid, with file and line.
func Load(h Home) (Config, error) {
	b, err := os.ReadFile(h.ConfigFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, errs.FromOS("config.Load", h.ConfigFile(), err)
	}
	c, err := Parse(string(b))
	if err != nil {
		return Config{}, errs.E("config.Load", errs.Other, h.ConfigFile(), err)
	}
	return c, nil
}

// Parse reads the configuration file, which is TOML.
func Parse(text string) (Config, error) {
	const op = "config.Parse"
	var f struct {
		CacheSize  any      `toml:"cache_size"` // "10GiB" or a number of bytes
		PinQuota   string   `toml:"pin_quota"`
		Heat       string   `toml:"heat"`
		Mountpoint string   `toml:"mountpoint"`
		Name       string   `toml:"name"`
		AllowOther bool     `toml:"allow_other"`
		Brake      bool     `toml:"brake"`
		Names      string   `toml:"names"`
		Via        string   `toml:"via"`
		OnConflict string   `toml:"on_conflict"`
		History    string   `toml:"history"`
		Sweep      string   `toml:"sweep"`
		Listen     []string `toml:"listen"`

		Policy     []policyTable   `toml:"policy"`
		Background backgroundTable `toml:"background"`
		Limits     map[string]any  `toml:"limits"`
	}
	md, err := toml.Decode(text, &f)
	if err != nil {
		return Config{}, errs.E(op, errs.Invalid, "", err) // names the line
	}
	if odd := md.Undecoded(); len(odd) > 0 {
		switch odd[0][0] {
		case "background":
			return Config{}, errs.E(op, errs.Invalid, "", fmt.Errorf("background has no %q; it has battery, metered, interfaces, pressure", odd[0][len(odd[0])-1]))
		case "policy":
			return Config{}, errs.E(op, errs.Invalid, "", fmt.Errorf("a policy has no %q; it has program, action, bytes, wait", odd[0][len(odd[0])-1]))
		}
		return Config{}, errs.E(op, errs.Invalid, "", fmt.Errorf("there is no setting %q; there are allow_other, background, brake, cache_size, heat, history, limits, listen, mountpoint, name, names, on_conflict, pin_quota, policy, sweep, via", odd[0].String()))
	}
	c := Config{Listen: f.Listen, OnConflict: f.OnConflict, AllowOther: f.AllowOther}
	check := func(key string, set func() error) {
		if err == nil && md.IsDefined(key) {
			if err = set(); err != nil {
				err = errs.E(op, errs.Invalid, key, err)
			}
		}
	}
	check("cache_size", func() (err error) { c.CacheSize, err = ParseCacheSize(fmt.Sprint(f.CacheSize)); return err })
	check("pin_quota", func() (err error) { c.PinQuota, err = ParseQuota(f.PinQuota); return err })
	check("heat", func() (err error) { c.Heat, err = ParseHeat(f.Heat); return err })
	check("mountpoint", func() (err error) { c.Mountpoint, err = ExpandPath(f.Mountpoint); return err })
	check("name", func() error { c.Name = f.Name; return CheckName(f.Name) })
	check("names", func() error { c.Names = f.Names; return CheckNames(f.Names) })
	check("via", func() error { c.Via = f.Via; return CheckVia(f.Via) })
	check("brake", func() error { c.NoBrake = !f.Brake; return nil })
	check("history", func() (err error) { c.History, err = ParseHistory(f.History); return err })
	check("sweep", func() error { c.Sweep = f.Sweep; return CheckSweep(f.Sweep) })
	check("policy", func() error {
		for _, t := range f.Policy {
			p, err := t.policy()
			if err != nil {
				return err
			}
			c.Policies = append(c.Policies, p)
		}
		return nil
	})
	check("background", func() (err error) { c.Background, err = f.Background.background(); return err })
	check("limits", func() (err error) {
		if md.Type("limits") != "Hash" { // the decoder lets it pass
			return errors.New("it is a table: begin it with [limits]")
		}
		c.Limits, err = limitsOf(f.Limits)
		return err
	})
	check("listen", func() error {
		for _, a := range f.Listen {
			if err := CheckListen(a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Config{}, err
	}
	return c, nil
}

// ParseCacheSize is ParseSize with a floor.
func ParseCacheSize(s string) (int64, error) {
	n, err := ParseSize(s)
	if err == nil && n < MinCacheSize {
		err = errs.E("config.ParseCacheSize", errs.Invalid, "cache size "+s,
			errors.New("at least "+FormatSize(MinCacheSize)+" are needed"))
	}
	return n, err
}

// ExpandPath makes a path absolute that is so already or begins with ~/.
func ExpandPath(p string) (string, error) {
	if rest, ok := strings.CutPrefix(p, "~"); ok && (rest == "" || rest[0] == '/' || rest[0] == filepath.Separator) {
		user, err := os.UserHomeDir()
		if err != nil {
			return "", errs.E("config.ExpandPath", errs.NotExist, "your home folder", err)
		}
		return filepath.Join(user, rest), nil
	}
	if !filepath.IsAbs(p) {
		return "", errs.E("config.ExpandPath", errs.Invalid, p, errors.New("the path must be absolute or begin with ~/"))
	}
	return filepath.Clean(p), nil
}

// CheckName accepts a device's name: 1 to 64 bytes of printable text without slashes.
// Names of devices appear in names of conflict copies.
func CheckName(s string) error {
	bad := func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' || r == utf8.RuneError }
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, bad) || strings.TrimSpace(s) != s {
		return errs.E("config.CheckName", errs.Invalid, "device name "+strconv.Quote(s),
			errors.New("1 to 64 bytes without slashes, control characters and outer spaces"))
	}
	return nil
}

// CheckNames accepts a word for the rules of names in a mount: exact, windows or mac.
func CheckNames(s string) error {
	if _, err := alias.Parse(s, ""); err != nil || s == "" {
		return errs.E("config.CheckNames", errs.Invalid, "names "+strconv.Quote(s), errors.New("say exact, windows or mac"))
	}
	return nil
}

// CheckListen accepts what a device may listen on: a multiaddr (/ip4/…/tcp/…) or host:port,
// with an empty host for all addresses.
func CheckListen(a string) error {
	ok := strings.HasPrefix(a, "/") && len(strings.Split(a, "/")) >= 4
	if host, port, err := net.SplitHostPort(a); err == nil && !strings.HasPrefix(a, "/") {
		_, perr := strconv.ParseUint(port, 10, 16)
		ok = perr == nil && (host == "" || net.ParseIP(host) != nil)
	}
	if !ok {
		return errs.E("config.CheckListen", errs.Invalid, "address "+strconv.Quote(a),
			errors.New("say, for example, :4001, 192.168.1.5:4001 or /ip4/0.0.0.0/tcp/4001"))
	}
	return nil
}

// ListenAddrs turns what CheckListen accepts into multiaddrs; host:port means TCP and QUIC.
func ListenAddrs(list []string) []string {
	var out []string
	add := func(ip, port string) {
		proto := "/ip4/"
		if strings.Contains(ip, ":") {
			proto = "/ip6/"
		}
		out = append(out, proto+ip+"/tcp/"+port, proto+ip+"/udp/"+port+"/quic-v1")
	}
	for _, a := range list {
		host, port, err := net.SplitHostPort(a)
		switch {
		case strings.HasPrefix(a, "/") || err != nil:
			out = append(out, a)
		case host == "":
			add("0.0.0.0", port)
			add("::", port)
		default:
			add(host, port)
		}
	}
	return slices.Compact(out)
}

// DefaultMountpoint is ~/Shelf.
func DefaultMountpoint() (string, error) { return ExpandPath("~/Shelf") }
