// Package keystore keeps the master key of a home: the 32 bytes under which everything else
// that a device stores is sealed.
//
// The key lies in the operating system's keyring where there is one, else in a file of the
// home, which protects nothing against whoever can read the disk; the caller is told so.
// Which of the two it is, and a check value by which a wrong key is recognised, stand in
// the file "keystore" of the home. A home therefore never gets a second key: when the
// first cannot be had, Unlock says why.
//
// Files of a home that belong to this package, all 0600:
//
//	keystore   JSON: version, "keyring" or "file", the keyring entry's name, the check value
//	key        the key as text, when it is kept in a file
package keystore

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"os"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kdf"
)

// How a home's key is kept.
const (
	HowKeyring = "keyring" // the operating system's keyring
	HowFile    = "file"    // HOME/key
)

// EnvKeyring set to "off" in the environment makes new homes keep their key in a file.
const EnvKeyring = "SHELF_KEYRING"

// FileWarning begins Unlock's warning for a key kept in a file.
const FileWarning = "the key of this device is kept in a file and not in a keyring: whoever can read this disk can read everything on it"

// Keyring is the part of an operating system's keyring that is needed here.
type Keyring interface {
	Get(name string) (string, error) // errs.NotExist when there is no such entry
	Set(name, secret string) error
	Delete(name string) error
}

// Options of Unlock; the zero value is right for daemons.
type Options struct {
	Keyring Keyring       // nil: the operating system's
	NoKey   bool          // fail with NotExist instead of making a key for a new home
	Timeout time.Duration // for each call of the keyring; 0: 30 seconds, in which a person can type its password
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Keyring == nil {
		o.Keyring = systemKeyring()
	}
	return o
}

// Unlock returns the master key of the home directory, and makes one on first use. The
// directory must exist. how is HowKeyring or HowFile, and warning, if not empty, must be
// shown to the user.
//
// Errors: Permission when the key is in a keyring that does not give it now, or is not the
// home's (their Hint says what to do); Corrupt when a file was damaged; NotExist with
// Options.NoKey; Interrupted when ctx ends. Unlock never hangs on a keyring.
func Unlock(ctx context.Context, home string, o Options) (key [32]byte, how, warning string, err error) {
	o = o.withDefaults()
	h := dir(home)
	if err := h.check(); err != nil {
		return key, "", "", err
	}
	var because string
	m, err := h.loadMarker()
	if errs.Is(err, errs.NotExist) && !o.NoKey {
		m, because, err = h.create(ctx, o)
	}
	if err != nil {
		return key, "", "", err
	}
	switch m.Kind {
	case HowKeyring:
		key, err = fromKeyring(ctx, o, m.Name)
	case HowFile:
		key, warning, err = h.loadKey()
		warning += because
	}
	switch {
	case errs.Is(err, errs.NotExist) && m.Kind == HowFile:
		err = lost("the file with the key of this home is missing: "+h.path(keyFile), "bring it back from a backup", h)
	case errs.Is(err, errs.NotExist):
		err = lost("the keyring has no key for this home (entry "+m.Name+" of "+service+"): it was deleted, or this is another user's keyring",
			"bring the keyring back", h)
	case err == nil && !m.fits(key):
		err = lost("the key found is not the key of this home", "bring back the one that was there", h)
	}
	if err != nil {
		return [32]byte{}, "", "", err
	}
	return key, m.Kind, warning, nil
}

// Kept tells how the key of a home is kept, HowKeyring or HowFile, without asking any keyring. NotExist when
// the home has none yet; Corrupt, Unsupported for a marker that cannot be read.
func Kept(home string) (how string, err error) {
	m, err := dir(home).loadMarker()
	return m.Kind, err
}

// Forget removes the home's key for good: everything that the home stores becomes
// unreadable. It is for homes that are being deleted.
func Forget(ctx context.Context, home string, o Options) error {
	o = o.withDefaults()
	h := dir(home)
	m, err := h.loadMarker()
	if errs.Is(err, errs.NotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.Kind == HowKeyring {
		if err := deleteFrom(ctx, o, m.Name); err != nil && !errs.Is(err, errs.NotExist) {
			return errs.E("keystore.Forget", errs.Permission, "the keyring did not delete the key", err)
		}
	}
	return h.remove()
}

// create makes a key for a home that has none and remembers where it is. Of several
// processes that do so at once one wins, and all use its key. because ends the warning about
// a file: why a keyring that is there was not used.
func (h dir) create(ctx context.Context, o Options) (m marker, because string, err error) {
	key, err := h.adoptable()
	if err != nil {
		return m, "", err
	}
	if key == nil {
		key = new([32]byte)
		rand.Read(key[:])
		if os.Getenv(EnvKeyring) != "off" {
			name := "home-" + hex.EncodeToString(randomName())
			err := toKeyring(ctx, o, name, *key)
			switch {
			case err == nil:
				m, err = h.saveMarker(newMarker(HowKeyring, name, *key), func() { _ = deleteFrom(ctx, o, name) })
				return m, "", err
			case errs.Is(err, errs.Interrupted):
				return m, "", err
			case !errs.Is(err, errs.Unsupported):
				because = " (there is a keyring, but " + reason(err) + ")"
			}
		}
		if key, err = h.saveKey(*key); err != nil {
			return m, "", err
		}
	}
	m, err = h.saveMarker(newMarker(HowFile, "", *key), func() {})
	return m, because, err
}

func randomName() []byte {
	b := make([]byte, 16)
	rand.Read(b)
	return b
}

// fits reports whether key is the one that the marker was made for.
func (m marker) fits(key [32]byte) bool {
	want := checkValue(key)
	return subtle.ConstantTimeCompare([]byte(m.Check), []byte(want)) == 1
}

func checkValue(key [32]byte) string {
	d := kdf.Derive(key[:], kdf.LocalEnv)
	return hex.EncodeToString(d[:16])
}
