package keystore

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/shelffs/shelf/internal/errs"
)

// service is the name under which entries appear in the user's keyring.
const service = "shelf"

// ask waits for call, which asks a keyring, but no longer than o.Timeout: the keyring may be
// asking a person who is not there. The call then ends by itself, and late hears of its
// success. Errors: those of the call; Timeout; Interrupted when ctx ends.
func ask[T any](ctx context.Context, o Options, call func() (T, error), late func()) (T, error) {
	const op = "keystore.keyring"
	type result struct {
		value T
		err   error
	}
	answer := make(chan result)
	gone := make(chan struct{})
	go func() {
		v, err := call()
		select {
		case answer <- result{v, err}:
		case <-gone:
			if err == nil && late != nil {
				late()
			}
		}
	}()
	timer := time.NewTimer(o.Timeout)
	defer timer.Stop()
	var none T
	select {
	case r := <-answer:
		return r.value, r.err
	case <-timer.C:
		close(gone)
		return none, errs.E(op, errs.Timeout, "it did not answer within "+o.Timeout.String(), nil)
	case <-ctx.Done():
		close(gone)
		return none, errs.E(op, errs.Interrupted, "", ctx.Err())
	}
}

// toKeyring stores a key and reads it back: some keyrings accept what they do not keep. A key
// that is not going to be used is not left there, even if it arrives late.
func toKeyring(ctx context.Context, o Options, name string, key [32]byte) error {
	const op = "keystore.keyring"
	forget := func() { _ = o.Keyring.Delete(name) }
	set := func() (struct{}, error) { return struct{}{}, o.Keyring.Set(name, hex.EncodeToString(key[:])) }
	if _, err := ask(ctx, o, set, forget); err != nil {
		return err
	}
	got, err := fromKeyring(ctx, o, name)
	switch {
	case errs.Is(err, errs.NotExist) || err == nil && got != key:
		err = errs.E(op, errs.Corrupt, "it does not keep what it is given", nil)
	case err == nil:
		return nil
	}
	_ = deleteFrom(ctx, o, name)
	return err
}

// fromKeyring reads a key. Errors: NotExist, Interrupted, and Permission for a keyring that
// does not give it, with a text and a hint for the user.
func fromKeyring(ctx context.Context, o Options, name string) (key [32]byte, err error) {
	text, err := ask(ctx, o, func() (string, error) { return o.Keyring.Get(name) }, nil)
	switch {
	case errs.Is(err, errs.NotExist), errs.Is(err, errs.Interrupted):
		return key, err
	case errs.Is(err, errs.Unsupported):
		return key, cannot("the key of this home is in the keyring of your desktop session, and there is none here",
			"log in to the desktop, or run this in its terminal, then try again", err)
	case err != nil:
		return key, cannot("the key of this home is in the keyring, but "+reason(err),
			"unlock the keyring (it may be asking for its password on the screen), then try again", err)
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(key) {
		return key, cannot("the keyring holds something else where the key of this home should be", "", nil)
	}
	return [32]byte(b), nil
}

func deleteFrom(ctx context.Context, o Options, name string) error {
	_, err := ask(ctx, o, func() (struct{}, error) { return struct{}{}, o.Keyring.Delete(name) }, nil)
	return err
}

// osKeyring is the keyring of the user's session.
type osKeyring struct{}

// systemKeyring returns the operating system's keyring. On Unix systems without a session
// bus it is one that has nothing: asking would only start a bus that nobody wants.
func systemKeyring() Keyring {
	if runtime.GOOS != "darwin" && runtime.GOOS != "windows" &&
		!sessionBus(os.Getenv("DBUS_SESSION_BUS_ADDRESS"), "/run/user/"+strconv.Itoa(os.Getuid())) {
		return noKeyring{}
	}
	return osKeyring{}
}

// sessionBus reports whether there is a session bus, looking where the D-Bus library looks
// before it starts one: at the address in the environment, then in the user's folder below
// /run/user, whatever XDG_RUNTIME_DIR says.
func sessionBus(address, runUser string) bool {
	if address != "" && address != "autolaunch:" {
		return true
	}
	for _, name := range []string{"bus", "dbus-session"} {
		if _, err := os.Stat(filepath.Join(runUser, name)); err == nil {
			return true
		}
	}
	return false
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
	return errs.E("keystore.keyring", errs.Refused, "", err)
}

// noKeyring stands where there is none.
type noKeyring struct{}

func (noKeyring) Get(string) (string, error) { return "", errNone() }
func (noKeyring) Set(string, string) error   { return errNone() }
func (noKeyring) Delete(string) error        { return errNone() }

func errNone() error {
	return errs.E("keystore.keyring", errs.Unsupported, "no keyring in this session", nil)
}
