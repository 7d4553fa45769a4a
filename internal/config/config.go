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
	"unicode/utf8"

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
	CacheSize  int64    // cache_size = "10GiB": limit of the cache on this device, in bytes
	Mountpoint string   // mountpoint = "~/Shelf": where `shelf up` mounts; absolute once read
	Name       string   // name = "laptop": name of this device when it is made
	Listen     []string // listen = ["/ip4/0.0.0.0/tcp/4001", ":4001"]: where it waits for its peers
}

// Load reads a home's configuration. A home without one has the zero Config. Unknown keys and
// values that make no sense are Invalid, with file and line.
func Load(h Home) (Config, error) {
	b, err := os.ReadFile(h.ConfigFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, errs.E("config.Load", kindOf(err), h.ConfigFile(), err)
	}
	c, err := Parse(string(b))
	if err != nil {
		return Config{}, errs.E("config.Load", errs.Other, h.ConfigFile(), err)
	}
	return c, nil
}

// Parse reads the configuration format, a small part of TOML: a line holds `key = "text"`, `key = 123`
// or `key = ["text", "text"]`, and # begins a comment.
func Parse(text string) (Config, error) {
	var c Config
	seen := map[string]bool{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		key, values, err := parseLine(strings.TrimRight(line, "\r\n"))
		if err == nil && key != "" {
			if seen[key] {
				err = fmt.Errorf("%s is set twice", key)
			} else {
				seen[key] = true
				err = c.set(key, values)
			}
		}
		if err != nil {
			return Config{}, errs.E("config.Parse", errs.Invalid, "line "+strconv.Itoa(n), err)
		}
	}
	return c, nil
}

func (c *Config) set(key string, values []string) error {
	if key != "listen" && len(values) != 1 {
		return fmt.Errorf("%s takes one value", key)
	}
	var err error
	switch key {
	case "cache_size":
		c.CacheSize, err = ParseCacheSize(values[0])
	case "mountpoint":
		c.Mountpoint, err = ExpandPath(values[0])
	case "name":
		c.Name, err = values[0], CheckName(values[0])
	case "listen":
		c.Listen = values
		for _, a := range values {
			if err == nil {
				err = CheckListen(a)
			}
		}
	default:
		err = fmt.Errorf("there is no setting %q; there are cache_size, listen, mountpoint, name", key)
	}
	return err
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
