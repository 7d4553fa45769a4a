package keystore

import (
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
	broken  bool
	hang    chan struct{} // calls wait for it, if set
	lies    bool          // accepts but does not keep
}

func newRing() *ring { return &ring{entries: map[string]string{}} }

func (r *ring) enter() error {
	if r.hang != nil {
		<-r.hang
	}
	if r.broken {
		return errs.E("ring", errs.Unsupported, "", nil)
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
	return nil
}

func unlock(t *testing.T, home string, r *ring) ([32]byte, string, string) {
	t.Helper()
	key, how, warning, err := Unlock(home, Options{Keyring: r})
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

func TestFileWhereThereIsNoKeyring(t *testing.T) {
	for name, r := range map[string]*ring{
		"broken": {entries: map[string]string{}, broken: true},
		"lies":   {entries: map[string]string{}, lies: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(EnvKeyring, "")
			home := t.TempDir()
			key, how, warning := unlock(t, home, r)
			if how != HowFile || warning == "" {
				t.Fatalf("how %q, warning %q", how, warning)
			}
			st, err := os.Stat(filepath.Join(home, keyFile))
			if err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
				t.Errorf("key file: %v %v", st, err)
			}
			r2 := newRing() // a keyring that appears later changes nothing
			if again, how, _ := unlock(t, home, r2); again != key || how != HowFile {
				t.Error("another key the second time")
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

// A keyring that has gone, was reset or hangs gives an error that says so, and never a new
// key.
func TestVanishedKeyringNeverGivesANewKey(t *testing.T) {
	t.Setenv(EnvKeyring, "")
	home, r := t.TempDir(), newRing()
	key, _, _ := unlock(t, home, r)
	hang := make(chan struct{})
	defer close(hang)
	for name, bad := range map[string]*ring{
		"reset":   newRing(),
		"gone":    {broken: true},
		"hanging": {entries: map[string]string{}, hang: hang},
	} {
		start := time.Now()
		_, _, _, err := Unlock(home, Options{Keyring: bad, Timeout: 50 * time.Millisecond})
		if !errs.Is(err, errs.Permission) || !strings.Contains(err.Error(), "keyring") {
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

func TestHangingKeyringOfANewHome(t *testing.T) {
	t.Setenv(EnvKeyring, "")
	hang := make(chan struct{})
	defer close(hang)
	start := time.Now()
	_, how, _, err := Unlock(t.TempDir(), Options{Keyring: &ring{entries: map[string]string{}, hang: hang}, Timeout: 50 * time.Millisecond})
	if err != nil || how != HowFile || time.Since(start) > time.Second {
		t.Errorf("how %q, %v after %v", how, err, time.Since(start))
	}
}

func TestOtherKeyIsRefused(t *testing.T) {
	t.Setenv(EnvKeyring, "")
	home, r := t.TempDir(), newRing()
	unlock(t, home, r)
	for name := range r.entries {
		r.entries[name] = strings.Repeat("ab", 32)
	}
	if _, _, _, err := Unlock(home, Options{Keyring: r}); !errs.Is(err, errs.Permission) {
		t.Errorf("other key in the keyring: %v", err)
	}
	t.Setenv(EnvKeyring, "off")
	home = t.TempDir()
	unlock(t, home, r)
	path := filepath.Join(home, keyFile)
	if err := os.WriteFile(path, []byte(keyPrefix+strings.Repeat("ab", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Unlock(home, Options{Keyring: r}); !errs.Is(err, errs.Permission) {
		t.Errorf("other key in the file: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Unlock(home, Options{Keyring: r}); !errs.Is(err, errs.Permission) {
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
			if _, _, _, err := Unlock(home, Options{Keyring: newRing()}); !errs.Is(err, errs.Corrupt) {
				t.Fatalf("%s cut to %d bytes: %v", file, n, err)
			}
		}
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := Unlock(home, Options{Keyring: newRing()}); err == nil {
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
				if keys[i], _, _, err = Unlock(home, Options{Keyring: r}); err != nil {
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
	if _, _, _, err := Unlock(home, Options{Keyring: newRing(), NoKey: true}); !errs.Is(err, errs.NotExist) {
		t.Errorf("NoKey: %v", err)
	}
	if left, _ := os.ReadDir(home); len(left) != 0 {
		t.Error("NoKey left files behind")
	}
	if _, _, _, err := Unlock(filepath.Join(home, "missing"), Options{Keyring: newRing()}); !errs.Is(err, errs.NotExist) {
		t.Errorf("no home: %v", err)
	}
}

func TestForget(t *testing.T) {
	t.Setenv(EnvKeyring, "")
	home, r := t.TempDir(), newRing()
	key, _, _ := unlock(t, home, r)
	if err := Forget(home, Options{Keyring: r}); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(home); len(left) != 0 || len(r.entries) != 0 {
		t.Errorf("left behind: %v, %d entries", left, len(r.entries))
	}
	if err := Forget(home, Options{Keyring: r}); err != nil {
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
