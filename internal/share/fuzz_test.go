package share

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/wire"
)

func FuzzEntry(f *testing.F) {
	_, entries := loadGolden(f)
	for _, e := range entries {
		f.Add(e.raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := parseEntry(raw)
		if err != nil {
			if k := errs.KindOf(err); k != errs.Corrupt && k != errs.Unsupported {
				t.Errorf("kind %v", k)
			}
			return
		}
		if !bytes.Equal(e.raw, raw) || !e.data.check() {
			t.Error("accepted an entry that it does not hold")
		}
	})
}

// FuzzPayload skips the signature, which a fuzzer cannot make.
func FuzzPayload(f *testing.F) {
	_, entries := loadGolden(f)
	for _, e := range entries {
		f.Add(uint8(e.log), uint8(e.kind), wire.Marshal(e.data))
	}
	f.Fuzz(func(t *testing.T, l, k uint8, data []byte) {
		p, _, err := parsePayload(logKind(l), kind(k), data)
		if err == nil && (!p.check() || !bytes.Equal(wire.Marshal(p), data)) {
			t.Error("accepted what it would not write")
		}
	})
}

// script is a stream whose other end says what it was given, and listens to nothing.
type script struct{ io.Reader }

func (script) Write(b []byte) (int, error)      { return len(b), nil }
func (script) Close() error                     { return nil }
func (script) CloseWrite() error                { return nil }
func (script) Reset() error                     { return nil }
func (script) SetDeadline(time.Time) error      { return nil }
func (script) SetReadDeadline(time.Time) error  { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }

// Whatever a stranger sends to a device that waits for guests, it comes to nothing.
func FuzzServeJoin(f *testing.F) {
	c := newClock()
	a, _ := create(f, "laptop", Options{Clock: c.Now})
	tok := invite(f, a)
	id := tok.id()
	var hello bytes.Buffer
	t0 := newTalk(script{}, tok.Inviter, tok.Inviter)
	t0.unlock(tok.Secret[:])
	payload := append(append([]byte{joinVersion}, id[:]...), make([]byte, 64)...)
	t0.note(payload)
	_ = wire.WriteFrame(&hello, payload, t0.mac(t0.ask))
	f.Add(hello.Bytes())
	f.Add(append(hello.Bytes(), 0, 0, 0, 40, 1, 2, 3))
	f.Add([]byte{0, 0, 0, 1, 3})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, sent []byte) {
		c.advance(time.Minute)
		dev, err := a.ServeJoin(context.Background(), tok.Inviter, script{bytes.NewReader(sent)}, never(t))
		if err == nil || !dev.ID.IsZero() {
			t.Error("let in")
		}
	})
}

// Whatever a false inviter answers, the joiner has no account afterwards.
func FuzzJoin(f *testing.F) {
	db := newDB(f)
	tok := sampleToken()
	j := joiner(f, db, tok, "nas", Options{Clock: newClock().Now})
	f.Add([]byte{0, 0, 0, 1, 3})
	f.Add(append([]byte{0, 0, 0, 64}, make([]byte, 64)...))
	f.Add([]byte{0, 0, 0, 70, 1})
	f.Fuzz(func(t *testing.T, answer []byte) {
		if _, err := j.Join(context.Background(), script{bytes.NewReader(answer)}, nil); err == nil {
			t.Error("joined")
		}
		noAccount(t, db)
	})
}

// FuzzMerge feeds changed copies of good entries, in any order, to a member.
func FuzzMerge(f *testing.F) {
	_, golden := loadGolden(f)
	var all [][]byte
	for _, e := range golden {
		all = append(all, e.raw)
	}
	f.Add([]byte{0, 1, 2, 3}, uint16(0), byte(0))
	f.Add([]byte{3, 2, 1, 0, 0}, uint16(99), byte(1))
	f.Fuzz(func(t *testing.T, order []byte, at uint16, flip byte) {
		if len(order) > 16 {
			return
		}
		var entries []*entry
		for i, n := range order {
			raw := bytes.Clone(all[int(n)%len(all)])
			if i == 0 {
				raw[int(at)%len(raw)] ^= flip
			}
			if e, err := parseEntry(raw); err == nil {
				entries = append(entries, e)
			}
		}
		account, share := newLog(accountLog), newLog(shareLog)
		_, _ = admitAll(account, share, entries)
		for _, n := range append(account.nodes, share.nodes...) {
			if !slices.ContainsFunc(all, func(b []byte) bool { return bytes.Equal(b, n.raw) }) {
				t.Error("an entry that nobody made")
			}
		}
	})
}
