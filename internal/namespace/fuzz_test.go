package namespace

import (
	"bytes"
	"testing"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// samples are records of every kind.
func samples() (ids []regID, vs []*merge.Version) {
	w := ident.Writer{Device: ident.DeviceID{1}, Incarnation: 1}
	other := ident.Writer{Device: ident.DeviceID{2}, Incarnation: 3}
	dir, file := NodeID{0: 1, 15: 1}, NodeID{0: 2}
	add := func(id regID, v merge.Version) {
		v.Dot = Dot{Writer: w, Seq: uint64(len(vs) + 5)}
		v.T = merge.Stamp(len(vs)) << 20
		v.Past = merge.Past{Vector: []Dot{{Writer: other, Seq: 9}}}.Add(v.Dot).Without(Dot{Writer: other, Seq: 4})
		if len(vs)%2 == 0 {
			v.Past = merge.Past{}.Add(v.Dot)
		}
		ids, vs = append(ids, id), append(vs, &v)
	}
	add(regID{node: dir, kind: regPlace}, merge.Version{Class: merge.Placed, Place: &merge.Place{Parent: Root, Prev: Root, Name: "d"}})
	add(regID{node: file, kind: regPlace}, merge.Version{Class: merge.Placed, Place: &merge.Place{Parent: dir, Name: "f.txt", Auto: true}})
	for _, b := range []merge.Bytes{{Kind: File}, {Kind: File, Content: content(70000)}, {Kind: Symlink, Target: "../x"},
		{Kind: Fifo}, {Kind: CharDev, Rdev: 259}, {Kind: merge.Link, Link: NodeID{0: 4}}} {
		add(regID{node: file, kind: regBytes}, merge.Version{Class: merge.Strong, Body: &merge.Body{Bytes: b, Mtime: -5, Mode: 0o644, UID: 1000, GID: 100}})
	}
	add(regID{node: dir, kind: regBytes}, merge.Version{Class: merge.Weak, Body: &merge.Body{Bytes: merge.Bytes{Kind: Dir}, Mode: 0o755}})
	add(regID{node: file, kind: regBytes}, merge.Version{Class: merge.Nothing})
	add(regID{node: file, kind: regMode}, merge.Version{Class: merge.Set, Value: encodeMode(0o4755)})
	add(regID{node: file, kind: regOwner}, merge.Version{Class: merge.Set, Value: encodeOwner(owner{1000, 1})})
	add(regID{node: file, kind: regTimes}, merge.Version{Class: merge.Set, Value: encodeTimes(times{atime: 5, mtime: -7})})
	add(regID{node: file, kind: regXattr, sub: "user.x"}, merge.Version{Class: merge.Set, Value: encodeXattr([]byte("value"))})
	add(regID{node: file, kind: regXattr, sub: "user.y"}, merge.Version{Class: merge.Set})
	add(regID{node: dir, kind: regPolicy, sub: string(make([]byte, 32))}, merge.Version{Class: merge.Set, Value: encodePolicy(Pinned)})
	add(regID{node: file, kind: regPlace}, merge.Version{Class: merge.Placed, Place: &merge.Place{Parent: dir, Name: "g.txt", Gone: true, Took: 5 << 20}})
	return ids, vs
}

// FuzzRecord: whatever is accepted as a record is exactly what encodeRecord writes for it.
func FuzzRecord(f *testing.F) {
	s := seal.New(ident.ShareID{1}, epoch, [32]byte{7})
	w := ident.Writer{Device: ident.DeviceID{1}, Incarnation: 1}
	ids, vs := samples()
	for i := range ids {
		f.Add(encodeRecord(s, ids[i], vs[i]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b, w)
		if err != nil {
			return
		}
		id, v, err := r.open(s, w, payloadVersion)
		if err != nil {
			return
		}
		if again := encodeRecord(s, id, v); !bytes.Equal(again, b) {
			t.Fatalf("%x\nre-encodes as\n%x", b, again)
		}
	})
}

// plainSealer does not encrypt, so that the fuzzer reaches the payload.
type plainSealer struct{ *seal.Sealer }

func (plainSealer) SealRecord(_, payload []byte) []byte                { return payload }
func (plainSealer) OpenRecord(_, sealed []byte) ([]byte, error)        { return sealed, nil }
func (plainSealer) RegisterKey(node [16]byte, reg []byte) (k [16]byte) { return k }

// FuzzPayload is FuzzRecord without the seal.
func FuzzPayload(f *testing.F) {
	s := plainSealer{}
	w := ident.Writer{Device: ident.DeviceID{1}, Incarnation: 1}
	ids, vs := samples()
	for i := range ids {
		f.Add(encodeRecord(s, ids[i], vs[i]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b, w)
		if err != nil {
			return
		}
		id, v, err := r.open(s, w, payloadVersion)
		if err != nil {
			return
		}
		if again := encodeRecord(s, id, v); !bytes.Equal(again, b) {
			t.Fatalf("%x\nre-encodes as\n%x", b, again)
		}
		// and survives the local form
		var table writerTable
		table.num = map[ident.Writer]uint32{}
		row := table.encodeSub(id, merge.Register{v})
		if id.inNode() {
			n := merge.Node{ID: id.node}
			*register(&n, id.kind) = merge.Register{v}
			row = table.appendNode(nil, &n)
			var back merge.Node
			if err := decodeNode(id.node, row, table.list, &back); err != nil {
				t.Fatal(err)
			}
		} else if _, _, err := decodeSub(id.node, id.kind, row, table.list); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzFrame: whatever is accepted as a frame, without bad items, is what frameWriter writes.
func FuzzFrame(f *testing.F) {
	w := newWorld(f, 1, 1)
	a := w.devices[0]
	mkfile(f, a.Replica, mkdir(f, a.Replica, Root, "d").ID, "x", 1)
	fs, _ := frames(f, a, Claims{})
	a.close()
	f.Add(fs[0])
	f.Add([]byte{frameVersion, 0, 0, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		x, err := parseFrame(p)
		if err != nil {
			return
		}
		for _, r := range x.records {
			_, _ = parseRecord(r.bytes, r.writer)
		}
	})
}

// FuzzBatch: what is accepted as a batch is exactly what encode writes.
func FuzzBatch(f *testing.F) {
	f.Add((&batch{writer: ident.Writer{Incarnation: 1}, epoch: 1, first: 1, count: 3}).encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		b, err := parseBatch(p)
		if err == nil && !bytes.Equal(b.encode(), p) {
			t.Fatalf("%x re-encodes as %x", p, b.encode())
		}
	})
}

func FuzzHello(f *testing.F) {
	w := newWorld(f, 1, 2)
	mkfile(f, w.devices[0].Replica, Root, "x", 1)
	pull(f, w.devices[1], w.devices[0], -1)
	f.Add(w.devices[1].Hello(ident.DeviceID{}).Encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		if h, err := ParseHello(p); err == nil {
			if again, err := ParseHello(h.Encode()); err != nil || !again.Claims.Covers(h.Claims) {
				t.Fatalf("%+v: %v", h, err)
			}
		}
	})
}

func FuzzClaims(f *testing.F) {
	f.Add(EncodeClaims(Claims{Vector: []Dot{{Writer: ident.Writer{Incarnation: 1}, Seq: 5}}}))
	f.Fuzz(func(t *testing.T, p []byte) {
		if c, err := ParseClaims(p); err == nil && !bytes.Equal(EncodeClaims(c), p) {
			t.Fatalf("%x re-encodes as %x", p, EncodeClaims(c))
		}
	})
}

// FuzzRow: damaged rows are errors, never panics.
func FuzzRow(f *testing.F) {
	w := newWorld(f, 1, 1)
	r := w.devices[0].Replica
	e := mkfile(f, r, Root, "x", 1)
	f.Add(must(r.cfg.DB.Get(r.keys.node(e.ID))))
	f.Add(must(r.cfg.DB.Get(r.keys.name(Root, "x"))))
	f.Add(must(r.cfg.DB.Get(r.keys.state(stateCounters))))
	f.Fuzz(func(t *testing.T, p []byte) {
		var n merge.Node
		_ = decodeNode(e.ID, p, r.writers, &n)
		_, _, _ = decodeSub(e.ID, regXattr, p, r.writers)
		_, _ = decodeName(p)
		_, _ = decodeDir(p)
		_, _ = r.keys.register(r.cfg.DB, p)
		_, _ = decodeHead(p)
		_, _ = decodeRefused(p)
		var s state
		_ = s.decode(p)
	})
}
