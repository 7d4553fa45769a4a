package share

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// history builds account logs by hand. Every device has a name of one letter; "root" is
// the recovery phrase.
type history struct {
	t       testing.TB
	seed    uint64
	root    root
	devices map[string]deviceKeys
	entries map[string]*entry // by label
	order   []string
	kem     []byte
	at      time.Time
}

// newHistory begins a history; everything in it follows from the seed.
func newHistory(t testing.TB, seed uint64) *history {
	h := &history{t: t, seed: seed, devices: map[string]deviceKeys{}, entries: map[string]*entry{}, at: time.Unix(1, 0)}
	h.root = rootOf(h.bytes("root"))
	r := h.root
	h.kem = r.kem.PublicKey().Bytes()
	h.put("genesis", r.sign, nil, kindAccount, &accountGenesis{Root: r.sign.Public().(ed25519.PublicKey), Recovery: h.kem, Device: h.describe("a")})
	return h
}

func (h *history) bytes(what string) [32]byte { return sha256.Sum256(fmt.Append(nil, h.seed, what)) }

func (h *history) describe(name string) devicePayload {
	if _, ok := h.devices[name]; !ok {
		s, tr, k := h.bytes(name+" sign"), h.bytes(name+" transport"), h.bytes(name+" kem")
		keys, err := seeds{Sign: s[:], Transport: tr[:], KEM: k[:]}.keys()
		if err != nil {
			h.t.Fatal(err)
		}
		h.devices[name] = keys
	}
	d := h.devices[name].describe(name)
	return d
}

func (h *history) id(name string) ident.DeviceID {
	if name == "root" {
		return h.root.id()
	}
	return h.devices[name].id()
}

func (h *history) put(label string, key ed25519.PrivateKey, after []string, k kind, p payload) *entry {
	h.t.Helper()
	var prev []Hash
	for _, a := range after {
		prev = append(prev, h.entries[a].hash)
	}
	h.at = h.at.Add(time.Second)
	e, err := newEntry(key, accountLog, prev, k, h.at, p)
	if err != nil {
		h.t.Fatal(err)
	}
	h.entries[label], h.order = e, append(h.order, label)
	return e
}

// say records "who does what to whom" after the entries named.
func (h *history) say(label, who, verb, whom string, after ...string) *entry {
	h.t.Helper()
	key := h.root.sign
	if who != "root" {
		key = h.devices[who].sign
	}
	switch verb {
	case "adds":
		d := h.describe(whom)
		return h.put(label, key, after, kindAdd, &d)
	case "revokes":
		id := h.id(whom)
		return h.put(label, key, after, kindRevoke, &removal{Device: id[:]})
	case "names":
		id := h.id(whom)
		return h.put(label, key, after, kindRename, &rename{Device: id[:], Name: label})
	}
	h.t.Fatal(verb)
	return nil
}

// settled returns the live devices' names, in order, after settling the given entries fed
// in the given order.
func settled(t testing.TB, h *history, entries []*entry) (alive []string, order []Hash) {
	t.Helper()
	l := newLog(accountLog)
	if _, err := admitAll(l, newLog(shareLog), entries); err != nil {
		t.Fatal(err)
	}
	v := settle(l)
	names := map[ident.DeviceID]string{}
	for n, k := range h.devices {
		names[k.id()] = n
	}
	seen := map[string]bool{}
	for _, i := range v.order {
		order = append(order, l.nodes[i].hash)
		if d, ok := l.nodes[i].adds(); ok && v.effect[i] && !v.removed[ident.DeviceID(d.Signing)] {
			if n := names[ident.DeviceID(d.Signing)]; !seen[n] {
				seen[n] = true
				alive = append(alive, n)
			}
		}
	}
	return alive, order
}

func (h *history) list() (out []*entry) {
	for _, label := range h.order {
		out = append(out, h.entries[label])
	}
	return out
}

// Histories that forked, as plays: who is in the account in the end?
func TestForksAreSettled(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(h *history)
		want string
	}{
		{"one after the other", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "b", "adds", "c", "1")
			h.say("3", "c", "revokes", "b", "2")
		}, "[a c]"},
		{"what a revoked device did before it was revoked stands", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "b", "adds", "c", "1")
			h.say("3", "a", "revokes", "b", "2")
		}, "[a c]"},
		{"what it does afterwards does not", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "a", "revokes", "b", "1")
			h.say("3", "b", "adds", "c", "2")
		}, "[a]"},
		{"nor does what it dates back", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "a", "adds", "d", "1")
			h.say("3", "a", "revokes", "b", "2")
			h.say("4", "b", "adds", "c", "1")
		}, "[a d]"},
		{"nor do the helpers that it dates back", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "a", "revokes", "b", "1")
			h.say("3", "b", "adds", "c", "1")
			h.say("4", "c", "adds", "d", "3")
			h.say("5", "c", "revokes", "a", "3")
			h.say("6", "d", "revokes", "a", "4")
		}, "[a]"},
		{"a removal of its own does not save its helpers", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "a", "revokes", "b", "1")
			h.say("3", "b", "adds", "c", "1")
			h.say("4", "b", "adds", "x", "3")
			h.say("5", "b", "revokes", "x", "4")
		}, "[a]"},
		{"two that remove each other: the elder stays", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "b", "adds", "c", "1")
			h.say("3", "c", "revokes", "b", "2")
			h.say("4", "b", "revokes", "c", "2")
		}, "[a b]"},
		{"the phrase wins against the first device", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "a", "revokes", "b", "1")
			h.say("3", "root", "revokes", "a", "1")
		}, "[b]"},
		{"the phrase cannot be revoked", func(h *history) {
			h.say("1", "a", "revokes", "root", "genesis")
			h.say("2", "root", "adds", "b", "1")
		}, "[a b]"},
		{"a revoked device does not come back", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "a", "revokes", "b", "1")
			h.say("3", "a", "adds", "b", "2")
			h.say("4", "b", "adds", "c", "3")
		}, "[a]"},
		{"added twice at the same time", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "a", "adds", "c", "1")
			h.say("3", "b", "adds", "c", "1")
			h.say("4", "c", "adds", "d", "2", "3")
		}, "[a b c d]"},
		{"a device that removes itself has the last word", func(h *history) {
			h.say("1", "a", "adds", "b", "genesis")
			h.say("2", "b", "revokes", "b", "1")
			h.say("3", "b", "adds", "c", "2")
		}, "[a]"},
	} {
		h := newHistory(t, 0)
		c.play(h)
		rng := rand.New(rand.NewPCG(7, 7))
		var first []Hash
		for range 20 {
			entries := h.list()
			rng.Shuffle(len(entries)-1, func(i, j int) { entries[i+1], entries[j+1] = entries[j+1], entries[i+1] })
			alive, order := settled(t, h, entries)
			if fmt.Sprint(alive) != c.want {
				t.Errorf("%s: %v, want %v", c.name, alive, c.want)
				break
			}
			if first == nil {
				first = order
			} else if !slices.Equal(first, order) {
				t.Errorf("%s: the order depends on how the entries came", c.name)
				break
			}
		}
	}
}

// Random histories on replicas that exchange now and then: all agree in the end, whatever
// came when, and the rules of settle.go hold.
func TestReplicasAgree(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := newHistory(t, seed)
		names := []string{"a"}
		replicas := make([]*log, 3)
		feed := func(l *log, entries []*entry) {
			if _, err := admitAll(l, newLog(shareLog), entries); err != nil {
				t.Fatal(seed, err)
			}
		}
		for i := range replicas {
			replicas[i] = newLog(accountLog)
			feed(replicas[i], h.list())
		}
		for step := range 40 {
			l := replicas[rng.IntN(len(replicas))]
			if rng.IntN(3) == 0 { // a message, in a random order
				from := replicas[rng.IntN(len(replicas))]
				var es []*entry
				for _, n := range from.nodes {
					es = append(es, n.entry)
				}
				rng.Shuffle(len(es), func(i, j int) { es[i], es[j] = es[j], es[i] })
				feed(l, es)
				continue
			}
			var in []string // who may speak here, revoked or not
			for _, n := range names {
				id := h.id(n)
				if slices.ContainsFunc(l.nodes, func(x *node) bool { d, ok := x.adds(); return ok && ident.DeviceID(d.Signing) == id }) {
					in = append(in, n)
				}
			}
			who, label := in[rng.IntN(len(in))], fmt.Sprint(step)
			prev := l.heads
			if rng.IntN(4) == 0 { // dated back: only one old entry, its own admission or later
				prev = nil
				for i, n := range l.nodes {
					if d, ok := n.adds(); ok && ident.DeviceID(d.Signing) == h.id(who) {
						prev = []Hash{l.nodes[i].hash}
					}
				}
			}
			var after []string
			for _, label := range h.order {
				if slices.Contains(prev, h.entries[label].hash) {
					after = append(after, label)
				}
			}
			var e *entry
			switch rng.IntN(4) {
			case 0:
				e = h.say(label, who, "revokes", in[rng.IntN(len(in))], after...)
			case 1:
				e = h.say(label, who, "names", in[rng.IntN(len(in))], after...)
			default:
				whom := fmt.Sprintf("d%d", len(names))
				e = h.say(label, who, "adds", whom, after...)
				names = append(names, whom)
			}
			feed(l, []*entry{e})
		}
		var want []Hash
		var wantAlive []string
		for i, l := range replicas {
			es := h.list()
			rng.Shuffle(len(es), func(i, j int) { es[i], es[j] = es[j], es[i] })
			feed(l, es)
			var held []*entry
			for _, n := range l.nodes {
				held = append(held, n.entry)
			}
			alive, order := settled(t, h, held)
			if i == 0 {
				want, wantAlive = order, alive
			} else if !slices.Equal(want, order) || !slices.Equal(wantAlive, alive) {
				t.Fatalf("seed %d: replicas differ: %v, %v", seed, wantAlive, alive)
			}
			checkRules(t, l)
		}
	}
}

// checkRules compares settle with the rules as they are written above it.
func checkRules(t *testing.T, l *log) {
	t.Helper()
	v := settle(l)
	root := l.genesis().signer
	for i, n := range l.nodes {
		admitted := n.signer == root
		for a, m := range l.nodes {
			if d, ok := m.adds(); ok && v.effect[a] && n.past.has(a) && ident.DeviceID(d.Signing) == n.signer {
				admitted = true
			}
		}
		cut := false
		for r, m := range l.nodes {
			if target, ok := m.removes(); ok && target != root && v.effect[r] && target == n.signer && r != i && !m.past.has(i) {
				cut = true
			}
		}
		if _, removal := n.removes(); !removal && v.effect[i] != (admitted && !cut) {
			t.Fatalf("entry %d: effect %v, admitted %v, cut %v", i, v.effect[i], admitted, cut)
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	b := join(t, a, "nas", Options{})
	other, _ := create(t, "other", Options{})
	heads, devices := a.Heads(), a.Devices()
	stranger := newDeviceKeys()
	v := a.now.Load()
	now := time.Now()
	sign := func(key ed25519.PrivateKey, l logKind, prev []Hash, k kind, p payload) []byte {
		e, err := newEntry(key, l, prev, k, now, p)
		if err != nil {
			t.Fatal(err)
		}
		return e.raw
	}
	d, self := stranger.describe("stranger"), a.Self().ID
	forged := sign(stranger.sign, accountLog, v.account.heads, kindAdd, &d)
	var env envelope
	if err := wire.Unmarshal(forged, &env); err != nil {
		t.Fatal(err)
	}
	var bd body
	if err := wire.Unmarshal(env.Body, &bd); err != nil {
		t.Fatal(err)
	}
	bd.Signer = self[:]
	claimed := wire.Marshal(bd)
	for _, c := range []struct {
		name  string
		entry []byte
		kind  errs.Kind
	}{
		{"signed by a stranger", forged, errs.Refused},
		{"signed by a stranger, in the share's log", sign(stranger.sign, shareLog, v.share.heads, kindGrant, &grant{Epoch: 1, Recipient: self[:], Wrap: []byte{1}}), errs.Refused},
		{"a stranger that claims to be a member", wire.Marshal(envelope{Body: claimed, Sig: ident.Sign(stranger.sign, ident.SigLogEntry, claimed)}), errs.Corrupt},
		{"a signature made for another purpose", wire.Marshal(envelope{Body: claimed, Sig: ident.Sign(b.SigningKey(), ident.SigBatch, claimed)}), errs.Corrupt},
		{"the phrase of another account", sign(func() ed25519.PrivateKey { _, r := newPhrase(); return r.sign }(), accountLog, v.account.heads, kindRevoke, &removal{Device: self[:]}), errs.Refused},
		{"a gap", sign(b.SigningKey(), accountLog, []Hash{{1}}, kindRename, &rename{Device: self[:], Name: "x"}), errs.NotExist},
		{"a member's entry that builds on another log", sign(b.SigningKey(), accountLog, v.share.heads, kindRename, &rename{Device: self[:], Name: "x"}), errs.NotExist},
		{"another account's first entry", other.EntriesSince(nil)[0], errs.Corrupt},
		{"garbage", []byte("garbage"), errs.Corrupt},
		{"nothing", nil, errs.Corrupt},
		{"too long", make([]byte, maxEntry+1), errs.Corrupt},
	} {
		n, err := a.Merge([][]byte{c.entry})
		if n != 0 || !errs.Is(err, c.kind) {
			t.Errorf("%s: %d new, %v", c.name, n, err)
		}
	}
	if !slices.Equal(heads, a.Heads()) || len(devices) != len(a.Devices()) {
		t.Fatal("something got in")
	}
	// A good entry among bad ones is kept.
	good := sign(b.SigningKey(), accountLog, v.account.heads, kindRename, &rename{Device: self[:], Name: "x"})
	if n, err := a.Merge([][]byte{[]byte("garbage"), good, forged}); n != 1 || !errs.Is(err, errs.Corrupt) || a.Self().Name != "x" {
		t.Errorf("good among bad: %d, %v", n, err)
	}
	if n, err := a.Merge([][]byte{good}); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
}

// Each bit of each kind of entry matters.
func TestEveryBitOfAnEntry(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	b := join(t, a, "nas", Options{})
	if err := b.Rename(a.Self().ID, "x"); err != nil {
		t.Fatal(err)
	}
	if err := b.Revoke(a.Self().ID); err != nil {
		t.Fatal(err)
	}
	kinds := map[kind]bool{}
	for _, raw := range b.EntriesSince(nil) {
		e, err := parseEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		if kinds[e.kind] {
			continue
		}
		kinds[e.kind] = true
		step := 1
		if len(raw) > 1<<10 { // mostly a public key: still each byte, and all eight places of a bit
			step = 3
		}
		for i := 0; i < len(raw)*8; i += step {
			raw[i/8] ^= 1 << (i % 8)
			if _, err := parseEntry(raw); err == nil {
				t.Fatalf("kind %d: bit %d changed and accepted", e.kind, i)
			}
			raw[i/8] ^= 1 << (i % 8)
		}
		for n := range raw {
			if _, err := parseEntry(raw[:n]); err == nil {
				t.Fatalf("kind %d cut to %d bytes and accepted", e.kind, n)
			}
		}
	}
	if len(kinds) != 6 {
		t.Errorf("%d kinds of entries tried, want all 6", len(kinds))
	}
}

// A fork that is shown to two devices is found when they meet, and settled alike.
func TestForkShownToTwoDevices(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	b, c := join(t, a, "nas", Options{}), join(t, a, "phone", Options{})
	syncLogs(t, a, b)
	prev := a.now.Load().account.joinable()
	id := a.Self().ID
	for i, to := range []*Account{b, c} {
		e, err := newEntry(a.SigningKey(), accountLog, slices.Clone(prev), kindRename, time.Now(), &rename{Device: id[:], Name: fmt.Sprintf("for %d", i)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Merge([][]byte{e.raw}); err != nil {
			t.Fatal(err)
		}
	}
	if b.Name(id) == c.Name(id) {
		t.Fatal("no fork")
	}
	syncLogs(t, b, c)
	same(t, b, c)
}

func TestRevoke(t *testing.T) {
	a, _ := create(t, "laptop", Options{})
	b, c := join(t, a, "nas", Options{}), join(t, a, "phone", Options{})
	for _, x := range []*Account{b, c} {
		syncLogs(t, a, x)
	}
	lost := c.Self()
	if err := b.Revoke(lost.ID); err != nil {
		t.Fatal(err)
	}
	// The lost device does not know yet, and says something.
	if err := c.Rename(a.Self().ID, "mine"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.NewInvite(0, nil); err != nil {
		t.Fatal(err)
	}
	d := join(t, c, "helper", Options{})
	syncLogs(t, a, b)
	syncLogs(t, a, c)
	for _, x := range []*Account{a, c} {
		if _, ok := x.Allowed(lost.Transport); ok || x.Member(lost.ID) {
			t.Error("still allowed")
		}
		if _, ok := x.Allowed(d.Self().Transport); ok {
			t.Error("its helper is allowed")
		}
		if x.Self().Name == "mine" || x.Name(a.Self().ID) != "laptop" {
			t.Error("its word counts")
		}
	}
	same(t, a, c)
	if !c.Self().Revoked {
		t.Error("the lost device does not know that it is revoked")
	}
	_, err := c.NewInvite(0, nil)
	wantKind(t, "invitation of a revoked device", err, errs.Forbidden)
	wantKind(t, "word of a revoked device", c.Rename(a.Self().ID, "x"), errs.Forbidden)
	syncLogs(t, a, d)
	if s := d.Self(); !s.Revoked || s.ID.IsZero() {
		t.Error("the helper does not know that it is out")
	}
	wantKind(t, "revoking oneself", a.Revoke(a.Self().ID), errs.Invalid)
	wantKind(t, "revoking nobody", a.Revoke(ident.DeviceIDOf(ident.NewKey())), errs.NotExist)
	if err := a.Revoke(lost.ID); err != nil {
		t.Errorf("twice: %v", err)
	}
}

// One member cannot fill the log, and a full log settles in bounded time.
func TestLogIsBounded(t *testing.T) {
	h := newHistory(t, 0)
	l := newLog(accountLog)
	add := func(e *entry) error { _, err := admit(l, newLog(shareLog), e); return err }
	if err := add(h.entries["genesis"]); err != nil {
		t.Fatal(err)
	}
	id := ident.DeviceIDOf(ident.NewKey())
	var err error
	for i := range maxPerSigner + 1 {
		e, nerr := newEntry(h.devices["a"].sign, accountLog, []Hash{l.genesis().hash}, kindRevoke, time.UnixMilli(int64(i)), &removal{Device: id[:]})
		if nerr != nil {
			t.Fatal(nerr)
		}
		if err = add(e); err != nil {
			break
		}
	}
	wantKind(t, "flood", err, errs.TooLarge)
	if len(l.nodes) != maxPerSigner+1 {
		t.Errorf("%d entries", len(l.nodes))
	}
	start := time.Now()
	settle(l)
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("settling took %v", d)
	}
	if n := len(l.joinable()); n != maxPrev {
		t.Errorf("%d heads joined", n)
	}
}
