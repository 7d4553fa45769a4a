package keystore

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/shelffs/shelf/internal/errs"
)

// service is the name under which entries appear in the user's keyring.
const service = "shelf"

// within runs f, but waits no longer than d for it: a keyring may be asking a person who is
// not there. f then ends by itself, unheard.
func within(d time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errs.E("keystore.keyring", errs.Timeout, "no answer", nil)
	}
}

// toKeyring stores a key and reads it back: some keyrings accept what they do not keep.
func toKeyring(o Options, name string, key [32]byte) error {
	text := hex.EncodeToString(key[:])
	if err := within(o.Timeout, func() error { return o.Keyring.Set(name, text) }); err != nil {
		return err
	}
	got, err := fromKeyring(o, name)
	if err == nil && got != key {
		err = errs.E("keystore.keyring", errs.Corrupt, "gave back something else", nil)
	}
	return err
}

// fromKeyring reads a key that must be there. All errors are Permission, and say what a
// user can do.
func fromKeyring(o Options, name string) (key [32]byte, err error) {
	const op = "keystore.keyring"
	answer := make(chan string, 1)
	err = within(o.Timeout, func() error {
		text, err := o.Keyring.Get(name)
		answer <- text
		return err
	})
	switch {
	case errs.Is(err, errs.NotExist):
		return key, errs.E(op, errs.Permission, "the keyring has no key for this home: was it reset, or is this another user's? "+
			"Without the key this home cannot be read; bring the keyring back, or start with a new home and join again", err)
	case err != nil:
		return key, errs.E(op, errs.Permission, "the key of this home is in the keyring, which does not answer: log in to the desktop or unlock the keyring, then try again", err)
	}
	b, err := hex.DecodeString(<-answer)
	if err != nil || len(b) != len(key) {
		return key, errs.E(op, errs.Permission, "the keyring holds something else where the key of this home should be", nil)
	}
	return [32]byte(b), nil
}

// osKeyring is the keyring of the user's session.
type osKeyring struct{}

// systemKeyring returns the operating system's keyring. On Unix systems without a session
// bus it is one that has nothing: asking would only start a bus that nobody wants.
func systemKeyring() Keyring {
	if runtime.GOOS != "darwin" && runtime.GOOS != "windows" && !sessionBus() {
		return noKeyring{}
	}
	return osKeyring{}
}

func sessionBus() bool {
	if a := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); a != "" && a != "autolaunch:" {
		return true
	}
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(run, "bus"))
	return err == nil
}

func (osKeyring) Get(name string) (string, error) {
	s, err := keyring.Get(service, name)
	return s, ringError(err)
}

func (osKeyring) Set(name, secret string) error { return ringError(keyring.Set(service, name, secret)) }

func (osKeyring) Delete(name string) error { return ringError(keyring.Delete(service, name)) }

func ringError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrNotFound):
		return errs.E("keystore.keyring", errs.NotExist, "", err)
	}
	return errs.E("keystore.keyring", errs.Unsupported, "", err)
}

// noKeyring stands where there is none.
type noKeyring struct{}

func (noKeyring) Get(string) (string, error) { return "", errNone() }
func (noKeyring) Set(string, string) error   { return errNone() }
func (noKeyring) Delete(string) error        { return errNone() }

func errNone() error {
	return errs.E("keystore.keyring", errs.Unsupported, "no keyring in this session", nil)
}
