package keystore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// ring is a keyring in memory that can be made to misbehave.
type ring struct {
	mu      sync.Mutex
	entries map[string]string
	broken  errs.Kind     // fails with it, if set
	hang    chan struct{} // calls wait for it, if set
	lies    bool          // accepts but does not keep
	deleted chan string   // told of each deletion, if set
}

func newRing() *ring { return &ring{entries: map[string]string{}} }

func (r *ring) enter() error {
	if r.hang != nil {
		<-r.hang
	}
	if r.broken != 0 {
		return errs.E("ring", r.broken, "", nil)
	}
	return nil
}

func (r *ring) Get(name string) (string, error) {
	if err := r.enter(); err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.entries[name]
	if !ok {
		return "", errs.E("ring", errs.NotExist, "", nil)
	}
	return s, nil
}

func (r *ring) Set(name, secret string) error {
	if err := r.enter(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.lies {
		r.entries[name] = secret
	}
	return nil
}

func (r *ring) Delete(name string) error {
	if err := r.enter(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.entries, name)
	if r.deleted != nil {
		r.deleted <- name
	}
	return nil
}

func unlock(t *testing.T, home string, r *ring) ([32]byte, string, string) {
	t.Helper()
	key, how, warning, err := Unlock(t.Context(), home, Options{Keyring: r})
	if err != nil {
		t.Fatal(err)
	}
	if key == [32]byte{} {
		t.Fatal("zero key")
	}
	return key, how, warning
}

func TestKeyringKeepsTheKey(t *testing.T) {
	t.Setenv(EnvKeyring, "")
	home, r := t.TempDir(), newRing()
	key, how, warning := unlock(t, home, r)
	if how != HowKeyring || warning != "" || len(r.entries) != 1 {
		t.Fatalf("how %q, warning %q, %d entries", how, warning, len(r.entries))
	}
	if again, _, _ := unlock(t, home, r); again != key {
		t.Error("another key the second time")
	}
	if _, err := os.Stat(filepath.Join(home, keyFile)); err == nil {
		t.Error("the key is in a file too")
	}
	if other, _, _ := unlock(t, t.TempDir(), r); other == key {
		t.Error("two homes have one key")
	}
}

// Where the key is can be told without it, and without a keyring.
func TestKept(t *testing.T) {
	home := t.TempDir()
	if how, err := Kept(home); how != "" || !errs.Is(err, errs.NotExist) {
		t.Errorf("before there is a key: %q, %v", how, err)
	}
	for value, want := range map[string]string{"": HowKeyring, "off": HowFile} {
		t.Setenv(EnvKeyring, value)
		home := t.TempDir()
		unlock(t, home, newRing())
		t.Setenv(EnvKeyring, "off") // says nothing of a home that is there
		if how, err := Kept(home); how != want || err != nil {
			t.Errorf("%s=%s: %q, %v", EnvKeyring, value, how, err)
		}
	}
}

// A keyring that is there and was not used is named in the warning, once.
func TestFileWhereThereIsNoKeyring(t *testing.T) {
	for name, c := range map[string]struct {
		ring *ring
		why  string
	}{
		"none":   {&ring{broken: errs.Unsupported}, ""},
		"locked": {&ring{broken: errs.Refused}, "it refuses"},
		"lies":   {&ring{entries: map[string]string{}, lies: true}, "does not keep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(EnvKeyring, "")
			home := t.TempDir()
			key, how, warning := unlock(t, home, c.ring)
			if how != HowFile || !strings.HasPrefix(warning, FileWarning) ||
				!strings.Contains(warning, c.why) || strings.Contains(warning, "there is a keyring") != (c.why != "") {
				t.Fatalf("how %q, warning %q", how, warning)
			}
			st, err := os.Stat(filepath.Join(home, keyFile))
			if err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
				t.Errorf("key file: %v %v", st, err)
			}
			r2 := newRing() // a keyring that appears later changes nothing
			again, how, warning := unlock(t, home, r2)
			if again != key || how != HowFile || warning != FileWarning {
				t.Errorf("the second time: other key %v, how %q, warning %q", again != key, how, warning)
			}
		})
	}
}

func TestEnvironmentForcesTheFile(t *testing.T) {
	t.Setenv(EnvKeyring, "off")
	r := newRing()
	if _, how, _ := unlock(t, t.TempDir(), r); how != HowFile || len(r.entries) != 0 {
		t.Errorf("how %q, %d entries", how, len(r.entries))
	}
}

// A keyring that has gone, was reset or hangs gives an error that says so and what to do, and
// never a new key.
func TestVanishedKeyringNeverGivesANewKey(t *testing.T) {
	t.Setenv(EnvKeyring, "")
	home, r := t.TempDir(), newRing()
	key, _, _ := unlock(t, home, r)
	hang := make(chan struct{})
	defer close(hang)
	for name, c := range map[string]struct {
		ring       *ring
		text, hint string
	}{
		"reset":   {newRing(), "no key for this home", "join again"},
		"none":    {&ring{broken: errs.Unsupported}, "there is none here", "log in"},
		"locked":  {&ring{broken: errs.Refused}, "it refuses", "unlock the keyring"},
		"hanging": {&ring{hang: hang}, "did not answer within 50ms", "unlock the keyring"},
	} {
		start := time.Now()
		_, _, _, err := Unlock(t.Context(), home, Options{Keyring: c.ring, Timeout: 50 * time.Millisecond})
		var h interface{ Hint() string }
		if !errs.Is(err, errs.Permission) || !errors.As(err, &h) || !strings.Contains(h.Hint(), c.hint) ||
			!strings.Contains(err.Error(), "keyring") || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
		if time.Since(start) > time.Second {
			t.Errorf("%s: took %v", name, time.Since(start))
		}
	}
	t.Setenv(EnvKeyring, "off") // only for new homes
	if again, how, _ := unlock(t, home, r); again != key || how != HowKeyring {
		t.Error("the environment changed the key of an old home")
	}
}

// A keyring that takes the key only after it was waited for does not keep it.
func TestHangingKeyringOfANewHome(t *testing.T) {
	t.Setenv(EnvKeyring, "")
	r := newRing()
	r.hang = make(chan struct{})
	r.deleted = make(chan string, 1)
	_, how, warning, err := Unlock(t.Context(), t.TempDir(), Options{Keyring: r, Timeout: 50 * time.Millisecond})
	if err != nil || how != HowFile || !strings.Contains(warning, "did not answer") {
		t.Errorf("how %q, warning %q, %v", how, warning, err)
	}
	close(r.hang)
	select {
	case <-r.deleted:
	case <-time.After(10 * time.Second):
		t.Fatal("the key of a file is in the keyring too")
	}
	if len(r.entries) != 0 {
		t.Errorf("%d entries", len(r.entries))
	}
}

func TestInterruptedWhileTheKeyringAsks(t *testing.T) {
	t.Setenv(EnvKeyring, "")
	old, r := t.TempDir(), newRing()
	unlock(t, old, r)
	r.hang = make(chan struct{})
	defer close(r.hang)
	for name, home := range map[string]string{"old": old, "new": t.TempDir()} {
		before, _ := os.ReadDir(home)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, _, _, err := Unlock(ctx, home, Options{Keyring: r}); !errs.Is(err, errs.Interrupted) {
			t.Errorf("%s home: %v", name, err)
		}
		if after, _ := os.ReadDir(home); len(after) != len(before) {
			t.Errorf("%s home: %d files, then %d", name, len(before), len(after))
		}
	}
}

// The D-Bus library starts a bus of its own where it finds none: it must not be asked then.
func TestSessionBus(t *testing.T) {
	empty, run := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(run, "bus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		address, runUser string
		want             bool
	}{
		{"unix:path=/x", empty, true},
		{"", empty, false},
		{"autolaunch:", empty, false},
		{"", filepath.Join(empty, "missing"), false},
		{"", run, true},
		{"autolaunch:", run, true},
	} {
		if got := sessionBus(c.address, c.runUser); got != c.want {
			t.Errorf("address %q, bus in the user's folder %v: %v", c.address, c.runUser == run, got)
		}
	}
}

func TestOtherKeyIsRefused(t *testing.T) {
	t.Setenv(EnvKeyring, "")
	home, r := t.TempDir(), newRing()
	unlock(t, home, r)
	for name := range r.entries {
		r.entries[name] = strings.Repeat("ab", 32)
	}
	if _, _, _, err := Unlock(t.Context(), home, Options{Keyring: r}); !errs.Is(err, errs.Permission) {
		t.Errorf("other key in the keyring: %v", err)
	}
	t.Setenv(EnvKeyring, "off")
	home = t.TempDir()
	unlock(t, home, r)
	path := filepath.Join(home, keyFile)
	if err := os.WriteFile(path, []byte(keyPrefix+strings.Repeat("ab", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Unlock(t.Context(), home, Options{Keyring: r}); !errs.Is(err, errs.Permission) {
		t.Errorf("other key in the file: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Unlock(t.Context(), home, Options{Keyring: r}); !errs.Is(err, errs.Permission) {
		t.Errorf("file gone: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a new key was made")
	}
}

func TestDamagedFiles(t *testing.T) {
	t.Setenv(EnvKeyring, "off")
	for _, file := range []string{markerFile, keyFile} {
		home := t.TempDir()
		unlock(t, home, newRing())
		path := filepath.Join(home, file)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(whole) - 1 { // cut everywhere but before the last newline
			if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := Unlock(t.Context(), home, Options{Keyring: newRing()}); !errs.Is(err, errs.Corrupt) {
				t.Fatalf("%s cut to %d bytes: %v", file, n, err)
			}
		}
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := Unlock(t.Context(), home, Options{Keyring: newRing()}); err == nil {
			t.Errorf("%s of a megabyte accepted", file)
		}
	}
}

func TestOpenKeyFileIsClosedWithAWarning(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // has no such modes
	}
	t.Setenv(EnvKeyring, "off")
	home := t.TempDir()
	unlock(t, home, newRing())
	path := filepath.Join(home, keyFile)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, warning := unlock(t, home, newRing()); !strings.Contains(warning, "other users") {
		t.Errorf("warning %q", warning)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
}

// A crash between the key file and the marker must not lose the key that may be in use.
func TestKeyFileWithoutMarkerIsAdopted(t *testing.T) {
	t.Setenv(EnvKeyring, "off")
	home := t.TempDir()
	key, _, _ := unlock(t, home, newRing())
	if err := os.Remove(filepath.Join(home, markerFile)); err != nil {
		t.Fatal(err)
	}
	t.Setenv(EnvKeyring, "")
	if again, how, _ := unlock(t, home, newRing()); again != key || how != HowFile {
		t.Error("another key")
	}
}

func TestManyAtOnceAgreeOnOneKey(t *testing.T) {
	for _, env := range []string{"", "off"} {
		t.Setenv(EnvKeyring, env)
		home, r := t.TempDir(), newRing()
		var wg sync.WaitGroup
		keys := make([][32]byte, 8)
		for i := range keys {
			wg.Go(func() {
				var err error
				if keys[i], _, _, err = Unlock(t.Context(), home, Options{Keyring: r}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, k := range keys {
			if k != keys[0] {
				t.Error("two keys for one home")
			}
		}
		if env == "" && len(r.entries) != 1 {
			t.Errorf("%d entries left in the keyring", len(r.entries))
		}
	}
}

func TestNoKeyAndNoHome(t *testing.T) {
	home := t.TempDir()
	if _, _, _, err := Unlock(t.Context(), home, Options{Keyring: newRing(), NoKey: true}); !errs.Is(err, errs.NotExist) {
		t.Errorf("NoKey: %v", err)
	}
	if left, _ := os.ReadDir(home); len(left) != 0 {
		t.Error("NoKey left files behind")
	}
	if _, _, _, err := Unlock(t.Context(), filepath.Join(home, "missing"), Options{Keyring: newRing()}); !errs.Is(err, errs.NotExist) {
		t.Errorf("no home: %v", err)
	}
}

func TestForget(t *testing.T) {
	t.Setenv(EnvKeyring, "")
	home, r := t.TempDir(), newRing()
	key, _, _ := unlock(t, home, r)
	if err := Forget(t.Context(), home, Options{Keyring: r}); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(home); len(left) != 0 || len(r.entries) != 0 {
		t.Errorf("left behind: %v, %d entries", left, len(r.entries))
	}
	if err := Forget(t.Context(), home, Options{Keyring: r}); err != nil {
		t.Errorf("twice: %v", err)
	}
	if again, _, _ := unlock(t, home, r); again == key {
		t.Error("the forgotten key came back")
	}
}

func FuzzMarker(f *testing.F) {
	f.Add([]byte(`{"version":1,"kind":"file","check":"00112233445566778899aabbccddeeff"}`))
	f.Add([]byte(`{"version":1,"kind":"keyring","name":"home-1","check":""}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMarker(b)
		if err == nil && m.Kind != HowFile && m.Kind != HowKeyring {
			t.Error("unknown kind accepted")
		}
	})
}

// What the system says of the key file is passed on as it is.
func TestKeyFileThatIsNone(t *testing.T) {
	t.Setenv(EnvKeyring, "off")
	home := t.TempDir()
	if _, _, _, err := Unlock(t.Context(), home, Options{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, keyFile)
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Unlock(t.Context(), home, Options{}); !errs.Is(err, errs.IsDir) {
		t.Errorf("%v, want that it is a directory", err)
	}
}
