package share

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// golden is an account as version 1 wrote it: the laptop made it, the NAS joined, got a new
// name, and a phone was revoked. Every later version must read it alike.
type golden struct {
	Phrase  string   `json:"phrase"`
	Account string   `json:"account"`
	Share   string   `json:"share"`
	ReadKey string   `json:"read_key"`
	Devices []string `json:"devices"` // name, and "revoked"
	Laptop  string   `json:"laptop"`  // KEM seed
	Nas     string   `json:"nas"`
	IDs     []string `json:"ids"` // of laptop and NAS
	Entries []string `json:"entries"`
}

// loadGolden reads the golden account and its entries.
func loadGolden(t testing.TB) (g golden, entries []*entry) {
	t.Helper()
	b, err := os.ReadFile("testdata/account-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	for _, s := range g.Entries {
		raw, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		e, err := parseEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return g, entries
}

func TestGoldenAccount(t *testing.T) {
	g, entries := loadGolden(t)
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r, err := parsePhrase(g.Phrase)
	if err != nil {
		t.Fatal(err)
	}
	who := []recipient{{r.id(), r.kem}}
	for i, seed := range []string{g.Laptop, g.Nas} {
		keys, err := seeds{Sign: make([]byte, 32), Transport: make([]byte, 32), KEM: unhex(seed)}.keys()
		if err != nil {
			t.Fatal(err)
		}
		who = append(who, recipient{id: [32]byte(unhex(g.IDs[i])), kem: keys.kem})
	}
	for _, w := range who {
		v, err := assemble(entries, w)
		if err != nil {
			t.Fatal(err)
		}
		key := readKey(v.secrets[1], v.shareID(), 1)
		account, share := v.accountID(), v.shareID()
		if !bytes.Equal(key[:], unhex(g.ReadKey)) || !bytes.Equal(account[:], unhex(g.Account)) || !bytes.Equal(share[:], unhex(g.Share)) {
			t.Error("another key or id")
		}
		for i, id := range v.order {
			d := v.devices[id]
			name := d.Name
			if d.Revoked {
				name += " (revoked)"
			}
			if name != g.Devices[i] {
				t.Errorf("device %d: %s, want %s", i, name, g.Devices[i])
			}
		}
		if v.rootKey() != r.id() {
			t.Error("another root key")
		}
	}
}
