package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/simnet"
)

var (
	alice = ident.DeviceID{1}
	mal   = ident.DeviceID{66}
)

type none struct{}

func (none) GetBlock(_ context.Context, d blocks.Digest) (blocks.Sealed, error) {
	return blocks.Sealed{}, errs.E("none", errs.NotExist, d.Short(), nil)
}

func frame(body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// A server that breaks the rules is cut off, with an error that says so, and cannot make us wait.
func TestHostileServer(t *testing.T) {
	head := func(status errs.Kind, id uint32, n int) []byte { h := answerHead(status, id, n); return h[:] }
	for name, answer := range map[string][]byte{
		"answer to no question": head(0, 77, 0),
		"huge length":           {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1},
		"negative length":       {0, 0, 0, 1, 0, 0, 0, 0, 1},
		"over a block":          head(0, 1, blocks.MaxSealed+1),
		"bytes after a refusal": append(head(errs.NotExist, 1, 3), 1, 2, 3),
		"two answers":           slices.Concat(head(errs.Busy, 1, 0), head(errs.Busy, 1, 0)),
		"html":                  []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := simnet.New(simnet.Link{})
				net.Host(mal).Handle(Protocol, func(_ ident.DeviceID, s Stream) {
					_, _ = io.ReadFull(s, make([]byte, 4+5+1+digestLen))
					_, _ = s.Write(answer)
				})
				x := New(Config{Network: net.Host(alice), Store: none{}})
				_, err := x.Source(mal).Fetch(t.Context(), fetch.Request{Digest: blocks.Digest{1}})
				want := errs.Protocol
				if name == "two answers" {
					want = errs.Busy
				}
				if !errs.Is(err, want) {
					t.Error(err)
				}
				synctest.Wait()
				x.mu.Lock()
				r := x.remotes[mal]
				x.mu.Unlock()
				r.mu.Lock()
				if r.lanes[laneUrgent] != nil {
					t.Error("the lane is still in use")
				}
				r.mu.Unlock()
				_ = x.Close()
			})
		})
	}
}

// A client that breaks the rules loses its stream, and the gate does not wait for it.
func TestHostileClient(t *testing.T) {
	get := func(id uint32, p byte) []byte {
		return question{kind: kindGet, id: id, priority: fetch.Priority(p), digests: digests(blocks.Digest{1})}.appendTo(nil)
	}
	var flood []byte
	for i := range uint32(3 * maxQuestions) {
		flood = append(flood, get(i, byte(i))...)
	}
	for name, sent := range map[string][]byte{
		"unknown kind":        frame(9, 0, 0, 0, 1),
		"short":               frame(1, 0),
		"huge frame":          {0xff, 0xff, 0xff, 0xff},
		"long frame":          binary.BigEndian.AppendUint32(nil, maxQuestion+1),
		"no digest":           frame(kindHave, 0, 0, 0, 1),
		"half a digest":       frame(append([]byte{kindHave, 0, 0, 0, 1}, make([]byte, 33)...)...),
		"release of nothing":  frame(kindRelease, 0, 0, 0, 1),
		"release of no block": frame(append([]byte{kindRelease, 0, 0, 0, 1}, make([]byte, nodeLen+2)...)...),
		"release of too much": question{kind: kindRelease, id: 1, leaves: []Leave{{Blocks: make([]blocks.Digest, maxDigests)}, {Blocks: make([]blocks.Digest, 1)}}}.appendTo(nil),
		"flood, no read":      flood,
		"garbage":             bytes.Repeat([]byte("garbage "), 1000),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := simnet.New(simnet.Link{})
				x := New(Config{Network: net.Host(alice), Store: none{}})
				s, err := net.Host(mal).Open(t.Context(), alice, Protocol)
				if err != nil {
					t.Fatal(err)
				}
				_ = s.SetDeadline(time.Now().Add(2 * time.Minute))
				_, _ = s.Write(sent)
				if name == "flood, no read" {
					time.Sleep(time.Minute)
					_ = s.Close()
				}
				if _, err := io.Copy(io.Discard, s); err == nil {
					t.Error("the stream ended well")
				}
				synctest.Wait()
				for l := range levels {
					if n := x.remote(mal).gate.owed[l].Load(); n != 0 {
						t.Errorf("%d answers owed at level %d after the stream", n, l)
					}
				}
				_ = x.Close()
			})
		})
	}
}

func TestStreamsOfOneDeviceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(simnet.Link{})
		x := New(Config{Network: net.Host(alice), Store: none{}})
		for range 10 * maxServed {
			if _, err := net.Host(mal).Open(t.Context(), alice, Protocol); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := x.remote(mal).serving.Load(); n != maxServed {
			t.Errorf("%d streams served", n)
		}
		_ = x.Close()
	})
}

func TestQuestionsRoundTrip(t *testing.T) {
	for _, q := range []question{
		{kind: kindGet, id: 1, priority: fetch.Safety, digests: digests(blocks.Digest{1, 2})},
		{kind: kindPart, id: 1, priority: fetch.OnDemand, digests: digests(blocks.Digest{1, 2}), part: blocks.Span{Off: 48, Len: 64 << 10}},
		{kind: kindWalk, id: 1, priority: fetch.Safety, digests: digests(blocks.Digest{1, 2}), next: blocks.Stretch{Level: 1, Off: 1 << 40, Len: 5}},
		{kind: kindCancel, id: 1 << 31},
		{kind: kindRaise, id: 2, priority: fetch.ReadAhead},
		{kind: kindHave, id: 3, digests: make([]blocks.Digest, maxDigests)},
		{kind: kindRelease, id: 4, leaves: []Leave{{Node: [16]byte{9}, Blocks: []blocks.Digest{{1}, {2}}}, {Node: [16]byte{8}, Blocks: make([]blocks.Digest, maxDigests-2)}}},
	} {
		b := q.appendTo(nil)
		got, err := parseQuestion(b[4:])
		if err != nil || int(binary.BigEndian.Uint32(b)) != len(b)-4 || !bytes.Equal(got.appendTo(nil), b) {
			t.Errorf("%+v: %v", q.kind, err)
		}
	}
}

func FuzzParseQuestion(f *testing.F) {
	f.Add(question{kind: kindGet, id: 1, digests: digests(blocks.Digest{1})}.appendTo(nil)[4:])
	f.Add(question{kind: kindRelease, id: 1, leaves: []Leave{{Blocks: digests(blocks.Digest{1})}, {Blocks: digests(blocks.Digest{2})}}}.appendTo(nil)[4:])
	f.Add(question{kind: kindCancel, id: 1}.appendTo(nil)[4:])
	f.Add(question{kind: kindPart, id: 1, digests: digests(blocks.Digest{1}), part: blocks.Span{Off: 2, Len: 3}}.appendTo(nil)[4:])
	f.Add(question{kind: kindWalk, id: 1, digests: digests(blocks.Digest{1}), next: blocks.Stretch{Level: 1, Off: 2, Len: 3}}.appendTo(nil)[4:])
	f.Add([]byte{kindHave, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := parseQuestion(b)
		if err != nil {
			if !errs.Is(err, errs.Protocol) {
				t.Fatal(err)
			}
			return
		}
		if again := q.appendTo(nil)[4:]; !bytes.Equal(again, b) && q.priority != fetch.Background {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

// What a bundle holds is bounded, whatever the bytes are, and lies in them.
func FuzzParseBundle(f *testing.F) {
	f.Add(append([]byte{0, 0, 0, 1, 7}, append(make([]byte, digestLen), 0, 0, 0, 2, 1, 2)...))
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		block, along, err := parseBundle(b)
		if err != nil {
			if !errs.Is(err, errs.Protocol) {
				t.Fatal(err)
			}
			return
		}
		again := append(binary.BigEndian.AppendUint32(nil, uint32(len(block))), block...)
		for _, s := range along {
			again = append(again, s.Digest[:]...)
			again = append(binary.BigEndian.AppendUint32(again, uint32(len(s.Bytes))), s.Bytes...)
		}
		if !bytes.Equal(again, b) || len(along) > maxAlongCount {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

func TestBundlesAreBounded(t *testing.T) {
	one := append(make([]byte, digestLen), 0, 0, 0, 0)
	many := []byte{0, 0, 0, 0}
	for range maxAlongCount + 1 {
		many = append(many, one...)
	}
	half := append(binary.BigEndian.AppendUint32(make([]byte, digestLen), maxAlong/2+1), make([]byte, maxAlong/2+1)...)
	for name, b := range map[string][]byte{
		"empty":           {},
		"too many":        many,
		"too long":        append([]byte{0, 0, 0, 0}, append(half, half...)...),
		"no block":        {0, 0, 0, 2, 1},
		"half a digest":   append([]byte{0, 0, 0, 0}, make([]byte, digestLen-1)...),
		"longer than all": append([]byte{0, 0, 0, 0}, append(make([]byte, digestLen), 0, 0, 0, 1)...),
	} {
		if _, _, err := parseBundle(b); !errs.Is(err, errs.Protocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, along, err := parseBundle(many[:len(many)-len(one)]); err != nil || len(along) != maxAlongCount {
		t.Errorf("%d blocks, %v", len(along), err)
	}
}

func FuzzReadAnswerHead(f *testing.F) {
	h := answerHead(0, 1, 100)
	f.Add(h[:])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		status, id, n, err := readAnswerHead(bytes.NewReader(b))
		if err != nil {
			return
		}
		if n < 0 || n > maxBundle || (status != 0 && n != 0) {
			t.Fatal(status, id, n)
		}
		if h := answerHead(status, id, n); !bytes.Equal(h[:], b[:headLen]) {
			t.Fatalf("%x", h)
		}
	})
}
