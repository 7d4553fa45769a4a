package share

import (
	"slices"
	"strings"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

func TestCreateAndOpen(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	if _, err := Open(db, Options{}); !errs.Is(err, errs.NotExist) {
		t.Fatalf("Open of nothing: %v", err)
	}
	a, phrase, err := Create(db, "laptop", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(phrase)); n != 24 {
		t.Errorf("phrase of %d words", n)
	}
	if _, _, err := Create(db, "laptop", Options{}); !errs.Is(err, errs.Exist) {
		t.Errorf("second Create: %v", err)
	}
	self := a.Self()
	if self.Name != "laptop" || self.Revoked || self.ID != ident.DeviceIDOf(a.SigningKey()) || self.Transport != transportOf(a.TransportKey()) {
		t.Errorf("self: %+v", self)
	}
	if id, ok := a.Allowed(self.Transport); !ok || id != self.ID || !a.Member(self.ID) {
		t.Error("self is not allowed")
	}
	read, err := a.ReadKey(a.Epoch())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.ReadKey(2); !errs.Is(err, errs.NotExist) {
		t.Errorf("key of an epoch to come: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := Open(openDB(t, dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, _ := b.ReadKey(1)
	if b.AccountID() != a.AccountID() || b.ShareID() != a.ShareID() || again != read || b.Self().ID != self.ID || !slices.Equal(a.Heads(), b.Heads()) {
		t.Error("another account after opening again")
	}
	blind, _ := b.BlindKey(1)
	if blind == read || blind == [32]byte{} {
		t.Error("blind key")
	}
}

func TestAccountsAreUnrelated(t *testing.T) {
	a, pa := create(t, "laptop", Options{})
	b, pb := create(t, "laptop", Options{})
	ra, _ := a.ReadKey(1)
	rb, _ := b.ReadKey(1)
	if a.AccountID() == b.AccountID() || a.ShareID() == b.ShareID() || ra == rb || pa == pb {
		t.Error("two accounts have something in common")
	}
	if _, ok := a.Allowed(b.Self().Transport); ok || a.Member(b.Self().ID) {
		t.Error("a stranger is allowed")
	}
}

func TestRecoveryPhrase(t *testing.T) {
	a, phrase := create(t, "laptop", Options{})
	_, other := create(t, "laptop", Options{})
	words := strings.Fields(phrase)
	swapped := slices.Clone(words)
	swapped[0], swapped[1] = words[1], words[0]
	for name, good := range map[string]string{
		"as shown":       phrase,
		"capitals":       strings.ToUpper(phrase),
		"over two lines": strings.Join(words[:12], " ") + "\n  " + strings.Join(words[12:], "\t") + "\n",
	} {
		if err := a.CheckPhrase(good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantKind(t, "phrase of another account", a.CheckPhrase(other), errs.Refused)
	for name, mistake := range map[string]func(phrase string) string{
		"nothing":         func(string) string { return "" },
		"a word missing":  func(p string) string { return p[:strings.LastIndex(p, " ")] },
		"a word too many": func(p string) string { return p + " zoo" },
		"a typing error":  func(p string) string { return p[:strings.LastIndex(p, " ")] + " xyzzy" },
	} {
		err := a.CheckPhrase(mistake(phrase))
		wantKind(t, name, err, errs.Invalid)
		// An error that says the same of another phrase repeats no word of this one.
		if of := a.CheckPhrase(mistake(other)); err != nil && of != nil && err.Error() != of.Error() {
			t.Errorf("%s: the error depends on the phrase: %v", name, err)
		}
	}
	if words[0] != words[1] { // the checksum finds 255 of 256 of these, the key all
		if err := a.CheckPhrase(strings.Join(swapped, " ")); err == nil {
			t.Error("swapped words accepted")
		}
	}
}

// The phrase alone opens the share: its secret is wrapped to the recovery key.
func TestRecoveryPhraseOpensTheShare(t *testing.T) {
	a, phrase := create(t, "laptop", Options{})
	r, err := parsePhrase(phrase)
	if err != nil {
		t.Fatal(err)
	}
	var entries []*entry
	for _, raw := range a.EntriesSince(nil) {
		e, err := parseEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	v, err := assemble(entries, recipient{id: r.id(), kem: r.kem})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := a.ReadKey(1)
	if readKey(v.secrets[1], v.shareID(), 1) != want {
		t.Error("another key")
	}
}

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "Anna's laptop", "büro-pc", "電脳", "nas.local", strings.Repeat("x", 64)} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", " a", "a ", "a/b", `a\b`, "a\nb", "a\x00", "a\x1b[31m", "a\u202eb", "a\u200bb", "\xff", strings.Repeat("x", 65), "a\u2028b"} {
		if err := CheckName(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
		if _, _, err := Create(newDB(t), bad, Options{}); !errs.Is(err, errs.Invalid) {
			t.Errorf("Create(%q): %v", bad, err)
		}
	}
}

func TestRename(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	b := join(t, a, "nas", Options{})
	changed := a.Changed()
	if err := b.Rename(a.Self().ID, "old laptop"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
		t.Fatal("changed before anything came")
	default:
	}
	syncLogs(t, a, b)
	select {
	case <-changed:
	default:
		t.Error("nobody was told of the change")
	}
	if a.Self().Name != "old laptop" || a.Name(a.Self().ID) != "old laptop" {
		t.Errorf("name %q", a.Self().Name)
	}
	stranger := ident.DeviceIDOf(ident.NewKey())
	wantKind(t, "rename of a stranger", a.Rename(stranger, "x"), errs.NotExist)
	wantKind(t, "bad name", a.Rename(a.Self().ID, "x\n"), errs.Invalid)
	if a.Name(stranger) != stranger.Short() {
		t.Error("name of a stranger")
	}
}

func TestDamagedStore(t *testing.T) {
	change := map[string]func(*kv.DB, *kv.Batch) error{
		"account log gone": func(db *kv.DB, b *kv.Batch) error { return b.DeletePrefix(db.Key(tableAccount)) },
		"share log gone":   func(db *kv.DB, b *kv.Batch) error { return b.DeletePrefix(db.Key(tableShare)) },
		"first entry gone": func(db *kv.DB, b *kv.Batch) error { return b.Delete(db.Key(tableAccount, kv.U64(0))) },
		"grants gone": func(db *kv.DB, b *kv.Batch) error {
			_ = b.Delete(db.Key(tableShare, kv.U64(1)))
			return b.Delete(db.Key(tableShare, kv.U64(2)))
		},
		"garbage entry": func(db *kv.DB, b *kv.Batch) error { return b.Set(db.Key(tableAccount, kv.U64(7)), []byte("garbage")) },
		"garbage keys":  func(db *kv.DB, b *kv.Batch) error { return b.Set(selfKey(db), []byte{0x80}) },
		"another account": func(db *kv.DB, b *kv.Batch) error {
			other, _ := create(t, "other", Options{})
			v := other.now.Load()
			_ = b.DeletePrefix(db.Key(tableAccount))
			_ = b.DeletePrefix(db.Key(tableShare))
			_ = putEntries(db, b, tableAccount, newLog(accountLog), v.account)
			return putEntries(db, b, tableShare, newLog(shareLog), v.share)
		},
	}
	for name, damage := range change {
		db := newDB(t)
		if _, _, err := Create(db, "laptop", Options{}); err != nil {
			t.Fatal(err)
		}
		b := db.Batch()
		if err := damage(db, b); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(kv.Sync); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(db, Options{}); !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
