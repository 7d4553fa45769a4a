package keystore

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
)

const (
	markerFile    = "keystore"
	keyFile       = "key"
	keyPrefix     = "shelf-key-1 " // and 64 hex digits
	markerVersion = 1
	maxFile       = 4 << 10
)

// dir is a home directory.
type dir string

// marker says where a home's key is.
type marker struct {
	Version int    `json:"version"`
	Kind    string `json:"kind"` // HowKeyring or HowFile
	Name    string `json:"name,omitempty"`
	Check   string `json:"check"`
}

func newMarker(kind, name string, key [32]byte) marker {
	return marker{Version: markerVersion, Kind: kind, Name: name, Check: checkValue(key)}
}

func (h dir) path(name string) string { return filepath.Join(string(h), name) }

// check reports NotExist or NotDir for a home that is no directory.
func (h dir) check() error {
	const op = "keystore.Unlock"
	st, err := os.Stat(string(h))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errs.E(op, errs.NotExist, string(h), err)
	case err != nil:
		return errs.FromOS(op, string(h), err)
	case !st.IsDir():
		return errs.E(op, errs.NotDir, string(h), nil)
	}
	return nil
}

// loadMarker reads the marker: NotExist if there is none.
func (h dir) loadMarker() (marker, error) {
	const op = "keystore.marker"
	b, err := readFile(h.path(markerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return marker{}, errs.E(op, errs.NotExist, "this home has no key yet", nil)
	}
	if err != nil {
		return marker{}, errs.FromOS(op, h.path(markerFile), err)
	}
	m, err := parseMarker(b)
	switch {
	case errs.Is(err, errs.Corrupt):
		return marker{}, h.badMarker(err)
	case err != nil:
		return marker{}, errs.E(op, errs.Other, h.path(markerFile), err)
	}
	return m, nil
}

func parseMarker(b []byte) (marker, error) {
	const op = "keystore.parseMarker"
	var m marker
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return marker{}, errs.E(op, errs.Corrupt, "", err)
	}
	if m.Version != markerVersion {
		return marker{}, errs.E(op, errs.Unsupported, "written by a newer Shelf", nil)
	}
	if (m.Kind == HowKeyring) != (m.Name != "") || m.Kind != HowKeyring && m.Kind != HowFile || len(m.Check) != 32 {
		return marker{}, errs.E(op, errs.Corrupt, "", nil)
	}
	return m, nil
}

// saveMarker writes the marker if there is none. If another process was faster, lost is
// called and the other's marker returned.
func (h dir) saveMarker(m marker, lost func()) (marker, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return marker{}, errs.E("keystore.marker", errs.Other, "", err)
	}
	err = h.writeOnce(markerFile, append(b, '\n'))
	if errs.Is(err, errs.Exist) {
		lost()
		return h.loadMarker()
	}
	return m, err
}

// adoptable returns the key of a key file without a marker, which a crash between the two
// leaves; nil if there is no key file.
func (h dir) adoptable() (*[32]byte, error) {
	key, _, err := h.loadKey()
	if errs.Is(err, errs.NotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &key, nil
}

// loadKey reads the key file. Others' access to it is taken away, with a warning.
func (h dir) loadKey() (key [32]byte, warning string, err error) {
	const op = "keystore.key"
	path := h.path(keyFile)
	b, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return key, "", errs.E(op, errs.NotExist, path, err)
	}
	if err != nil {
		return key, "", errs.FromOS(op, path, err)
	}
	digits, ok := strings.CutPrefix(string(b), keyPrefix)
	raw, err := hex.DecodeString(strings.TrimSuffix(digits, "\n"))
	if !ok || err != nil || len(raw) != len(key) {
		return key, "", badFile("the file with the key of this home is damaged: "+path, orElse("bring it back from a backup", h), nil)
	}
	warning = FileWarning
	if st, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(path, 0o600); err != nil {
			return key, "", errs.FromOS(op, path, err)
		}
		warning += "; the file was open to other users of this machine until now"
	}
	return [32]byte(raw), warning, nil
}

// saveKey writes the key file and returns the key in it, which is another one if another
// process was faster.
func (h dir) saveKey(key [32]byte) (*[32]byte, error) {
	err := h.writeOnce(keyFile, []byte(keyPrefix+hex.EncodeToString(key[:])+"\n"))
	if errs.Is(err, errs.Exist) {
		key, _, err = h.loadKey()
	}
	return &key, err
}

// remove deletes both files.
func (h dir) remove() error {
	for _, name := range []string{keyFile, markerFile} {
		if err := os.Remove(h.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errs.FromOS("keystore.remove", h.path(name), err)
		}
	}
	return nil
}

// writeOnce creates a file with its whole content, durably, or fails with Exist.
func (h dir) writeOnce(name string, content []byte) (err error) {
	const op = "keystore.write"
	tmp, err := os.CreateTemp(string(h), "."+name+"-*") // 0600
	if err != nil {
		return errs.FromOS(op, h.path(name), err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return errs.FromOS(op, h.path(name), err)
	}
	err = os.Link(tmp.Name(), h.path(name))
	if err != nil && !errors.Is(err, fs.ErrExist) { // a filesystem without hard links
		if _, serr := os.Lstat(h.path(name)); errors.Is(serr, fs.ErrNotExist) {
			err = os.Rename(tmp.Name(), h.path(name))
		} else {
			err = fs.ErrExist
		}
	}
	if err != nil {
		return errs.FromOS(op, h.path(name), err)
	}
	return syncDir(string(h))
}

func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := os.Open(path)
	if err != nil {
		return errs.FromOS("keystore.sync", path, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return errs.FromOS("keystore.sync", path, err)
	}
	return nil
}

// readFile reads a small file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errs.E("keystore.read", errs.Corrupt, path, nil)
	}
	return b, err
}
