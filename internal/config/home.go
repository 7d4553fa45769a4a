// Package config knows where a device's state lies and what its owner has set: the layout
// of a home folder, its configuration file, sizes such as 10GiB, and the lock that lets one
// daemon at a time use a home.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
)

// EnvHome selects the home when no --home is given.
const EnvHome = "SHELF_HOME"

// Home is one device's state: an absolute path to a folder of the owner's (0700).
//
//	config.toml    what the owner set (Load)
//	key, key.toml  the local master key or where it is kept (package keystore)
//	store/         the encrypted key-value store: namespace, account, membership
//	cache/         sealed blocks
//	shelf.log      what the daemon in the background had to say
//	lock           held by the running daemon; contains its process id
//	control.sock   its control socket; control.addr names another place when this path is too long
//	webdav.json    address and password of its WebDAV server, once there was one
//	mounted        the path of the mount while there is one; it outlives a crash
//	replaced-*/    state that a `shelf join` put aside
type Home string

// DefaultHome is where the state lies when nobody says otherwise: $XDG_DATA_HOME/shelf or
// ~/.local/share/shelf, and the platform's own place on macOS and Windows.
func DefaultHome() (string, error) {
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "shelf"), nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", errs.E("config.DefaultHome", errs.NotExist, "your home folder", err)
	}
	switch runtime.GOOS {
	case "darwin":
		return filepath.Join(user, "Library", "Application Support", "shelf"), nil
	case "windows":
		if d := os.Getenv("LocalAppData"); filepath.IsAbs(d) {
			return filepath.Join(d, "shelf"), nil
		}
	}
	return filepath.Join(user, ".local", "share", "shelf"), nil
}

// FindHome gives the home named by flag, else by SHELF_HOME, else the default one. It
// need not exist yet.
func FindHome(flag string) (Home, error) {
	dir := flag
	if dir == "" {
		dir = os.Getenv(EnvHome)
	}
	if dir == "" {
		d, err := DefaultHome()
		return Home(d), err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", errs.E("config.FindHome", errs.Invalid, dir, err)
	}
	return Home(abs), nil
}

func (h Home) Dir() string        { return string(h) }
func (h Home) ConfigFile() string { return filepath.Join(string(h), "config.toml") }
func (h Home) StoreDir() string   { return filepath.Join(string(h), "store") }
func (h Home) CacheDir() string   { return filepath.Join(string(h), "cache") }
func (h Home) LogFile() string    { return filepath.Join(string(h), "shelf.log") }
func (h Home) LockFile() string   { return filepath.Join(string(h), "lock") }

// StateDirs are the folders that make this device what it is, without the key that opens them.
func (h Home) StateDirs() []string { return []string{h.StoreDir(), h.CacheDir()} }

// HasState reports whether a daemon has ever kept anything here.
func (h Home) HasState() bool {
	_, err := os.Stat(h.StoreDir())
	return err == nil
}

// Ensure makes the folder, for the owner only. A home that others may enter is closed to
// them; one that belongs to another user is Permission.
func (h Home) Ensure() error {
	const op = "config.Home.Ensure"
	if err := os.MkdirAll(string(h), 0o700); err != nil {
		return errs.FromOS(op, string(h), err)
	}
	return private(op, string(h))
}

// Writable makes a file in the home and removes it; its error says why that cannot be done.
func (h Home) Writable() error {
	const op = "config.Home.Writable"
	f, err := os.CreateTemp(string(h), ".writable-*")
	if err != nil {
		return errs.FromOS(op, string(h), err)
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return errs.FromOS(op, string(h), err)
	}
	return nil
}

func private(op, dir string) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return errs.FromOS(op, dir, err)
	}
	if fi.Mode()&fs.ModeSymlink != 0 { // a home may be a link to another disk
		if fi, err = os.Stat(dir); err != nil {
			return errs.FromOS(op, dir, err)
		}
	}
	if !fi.IsDir() {
		return errs.E(op, errs.NotDir, dir, nil)
	}
	if !ownedByUs(fi) {
		return errs.E(op, errs.Permission, dir, errors.New("it belongs to another user"))
	}
	if fi.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		if err := os.Chmod(dir, 0o700); err != nil {
			return errs.FromOS(op, dir, err)
		}
	}
	return nil
}

// maxSocketPath keeps clear of the 104 and 108 bytes that systems allow.
const maxSocketPath = 100

func (h Home) addrFile() string { return filepath.Join(string(h), "control.addr") }

// Socket is where a daemon of this home is to be reached.
func (h Home) Socket() string {
	p := filepath.Join(string(h), "control.sock")
	if len(p) <= maxSocketPath {
		return p
	}
	if b, err := os.ReadFile(h.addrFile()); err == nil {
		if q := strings.TrimSpace(string(b)); filepath.IsAbs(q) {
			return q
		}
	}
	// No daemon has left word, so there is none. A path that is too long would be an error of its own,
	// and one in a folder that others can make might be theirs.
	return noSocket
}

// noSocket is where nothing is.
const noSocket = string(filepath.Separator) + ".shelf-has-no-socket"

// MakeSocketPath decides where the daemon opens its socket, makes the folder for it where
// that is not the home itself, and leaves word for Socket.
func (h Home) MakeSocketPath() (string, error) {
	p := filepath.Join(string(h), "control.sock")
	if len(p) <= maxSocketPath {
		return p, nil
	}
	const op = "config.Home.MakeSocketPath"
	sum := sha256.Sum256([]byte(h))
	name := hex.EncodeToString(sum[:8]) + ".sock"
	for _, dir := range socketDirs() {
		if p = filepath.Join(dir, name); len(p) > maxSocketPath {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			continue
		}
		if fi, err := os.Lstat(dir); err != nil || fi.Mode()&fs.ModeSymlink != 0 || private(op, dir) != nil {
			continue // somebody else's, or a trap
		}
		return p, WriteFile(h.addrFile(), []byte(p+"\n"))
	}
	return "", errs.E(op, errs.NameTooLong, string(h), errors.New("no short place for the control socket"))
}

// WriteFile replaces a file of the home by one with these bytes, 0600, so that a crash leaves
// the old or the new one.
func WriteFile(path string, b []byte) error {
	const op = "config.WriteFile"
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return errs.FromOS(op, path, err)
	}
	_, err = f.Write(b) // CreateTemp makes it 0600
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return errs.FromOS(op, path, err)
	}
	return nil
}
