package namespace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// frames returns a whole delta.
func frames(t testing.TB, src *device, theirs Claims) (out [][]byte, claims Claims) {
	t.Helper()
	d := must(src.Since(context.Background(), Hello{Claims: theirs}))
	defer d.Close()
	for {
		f, err := d.Next()
		if errors.Is(err, io.EOF) {
			return out, d.End().Claims
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
}

// remake rebuilds a frame after change has had its way with the parts.
func remake(t testing.TB, raw []byte, change func(f *frame)) []byte {
	t.Helper()
	f := must(parseFrame(bytes.Clone(raw)))
	change(&f)
	w := frameWriter{limit: MaxRecords}
	for i := range f.batches {
		w.addBatch(&f.batches[i], len(f.batches[i].hashes) > 0)
	}
	for _, r := range f.records {
		w.addRecord(r.writer, r.bytes, r.early)
	}
	return w.bytes()
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i%len(b)] ^= 1 << (i % 8)
	return b
}

// Whatever a peer does to what it relays is refused, the rest of the frame is applied, nothing
// bad is claimed, and an honest peer brings the rest.
func TestQuarantine(t *testing.T) {
	for name, change := range map[string]func(f *frame){
		"signature":        func(f *frame) { f.batches[0].sig = flip(f.batches[0].sig, 77) },
		"header":           func(f *frame) { f.batches[0].raw = flip(f.batches[0].raw, 80) },
		"header, root":     func(f *frame) { f.batches[0].raw = flip(f.batches[0].raw, batchLen-1) },
		"member hashes":    func(f *frame) { f.batches[0].hashes = flip(f.batches[0].hashes, 3) },
		"batch left out":   func(f *frame) { f.batches = f.batches[1:] },
		"last left out":    func(f *frame) { f.batches = f.batches[:1] },
		"record":           func(f *frame) { f.records[1].bytes = flip(f.records[1].bytes, 400) },
		"record's class":   func(f *frame) { f.records[1].bytes = flip(f.records[1].bytes, 17) },
		"record cut":       func(f *frame) { f.records[1].bytes = f.records[1].bytes[:20] },
		"record's tail":    func(f *frame) { f.records[1].bytes = append(bytes.Clone(f.records[1].bytes), 0) },
		"record empty":     func(f *frame) { f.records[0].bytes = nil },
		"record's padding": func(f *frame) { r := f.records[0].bytes; f.records[0].bytes = flip(r, len(r)-1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, 3)
			a, b, liar := w.devices[0], w.devices[1], w.devices[2]
			mkfile(t, a.Replica, Root, "one", 1)
			must(0, a.Sync(context.Background()))
			mkfile(t, a.Replica, Root, "two", 2)
			mkfile(t, liar.Replica, Root, "mine", 3)
			pull(t, liar, a, -1)
			fs, claims := frames(t, liar, b.Claims())
			if len(fs) != 1 {
				t.Fatal(len(fs))
			}
			// the liar's own records come first or last; only a's are touched
			bad := remake(t, fs[0], func(f *frame) {
				var mine, theirs frame
				for _, x := range f.batches {
					if x.writer.Device == a.id() {
						theirs.batches = append(theirs.batches, x)
					} else {
						mine.batches = append(mine.batches, x)
					}
				}
				for _, x := range f.records {
					if x.writer.Device == a.id() {
						theirs.records = append(theirs.records, x)
					} else {
						mine.records = append(mine.records, x)
					}
				}
				change(&theirs)
				f.batches = append(theirs.batches, mine.batches...)
				f.records = append(theirs.records, mine.records...)
			})
			err := b.Apply(context.Background(), liar.id(), bad)
			wantKind(t, err, errs.Corrupt)
			if n, last := b.Quarantined(); n == 0 || last == nil {
				t.Error("not reported")
			}
			must(b.Complete(context.Background(), liar.id(), End{Claims: claims}))
			if _, err := b.Resolve("mine"); err != nil {
				t.Error("the good records were not applied:", err)
			}
			writer := ident.Writer{Device: a.id(), Incarnation: 1}
			if b.Claims().Upto(writer) == a.Synced() {
				t.Error("claims what was refused")
			}
			checkView(t, b.Replica)
			pull(t, b, a, -1)
			wantNames(t, b.Replica, Root, "one", "two", "mine")
			if b.Claims().Upto(writer) != a.Synced() {
				t.Error("does not claim what an honest peer brought")
			}
		})
	}
}

// forge signs records with any payload as a member of the share would.
func forge(w *world, d *device, payloads ...func(v *merge.Version) regID) []byte {
	var fw frameWriter
	fw.limit = MaxRecords
	writer := ident.Writer{Device: d.id(), Incarnation: 1}
	var hashes []byte
	var recs [][]byte
	for i, p := range payloads {
		v := &merge.Version{Dot: Dot{Writer: writer, Seq: uint64(i + 1)}, T: 1}
		v.Past = merge.Past{}.Add(v.Dot)
		rec := encodeRecord(w.sealer, p(v), v)
		h := hashRecord(rec)
		hashes = append(hashes, h[:]...)
		recs = append(recs, rec)
	}
	s := signBatch(edSigner{d.key}, batch{share: w.share, writer: writer, epoch: epoch, first: 1, count: uint32(len(recs)), root: rootOf(hashes)}, hashes)
	fw.addBatch(&s, true)
	for _, r := range recs {
		fw.addRecord(writer, r, false)
	}
	return fw.bytes()
}

// A member who signs nonsense does no harm.
func TestQuarantineOfSignedNonsense(t *testing.T) {
	dir, file := NodeID{0: 1, 15: 1}, NodeID{0: 2}
	place := func(n NodeID, p merge.Place) func(*merge.Version) regID {
		return func(v *merge.Version) regID {
			v.Class, v.Place = merge.Placed, &p
			return regID{node: n, kind: regPlace}
		}
	}
	body := func(n NodeID, b merge.Body) func(*merge.Version) regID {
		return func(v *merge.Version) regID {
			v.Class, v.Body = merge.Strong, &b
			return regID{node: n, kind: regBytes}
		}
	}
	attr := func(id regID, value string) func(*merge.Version) regID {
		return func(v *merge.Version) regID {
			v.Class, v.Value = merge.Set, value
			return id
		}
	}
	for name, p := range map[string]func(*merge.Version) regID{
		"slash in a name":       place(file, merge.Place{Parent: Root, Name: "../x"}),
		"dot dot":               place(file, merge.Place{Parent: Root, Name: ".."}),
		"empty name":            place(file, merge.Place{Parent: Root}),
		"name too long":         place(file, merge.Place{Parent: Root, Name: string(bytes.Repeat([]byte("x"), 256))}),
		"file as a parent":      place(file, merge.Place{Parent: NodeID{0: 9}, Name: "x"}),
		"directory, nameless":   place(dir, merge.Place{Parent: Root, Name: "x", Gone: true}),
		"root moved":            place(Root, merge.Place{Parent: dir, Name: "x"}),
		"root's contents":       body(Root, merge.Body{Bytes: merge.Bytes{Kind: Dir}}),
		"directory with bytes":  body(dir, merge.Body{Bytes: merge.Bytes{Kind: File}}),
		"file as a directory":   body(file, merge.Body{Bytes: merge.Bytes{Kind: Dir}}),
		"unknown kind":          body(file, merge.Body{Bytes: merge.Bytes{Kind: 99}}),
		"link to itself":        body(file, merge.Body{Bytes: merge.Bytes{Kind: merge.Link, Link: file}}),
		"link to a directory":   body(file, merge.Body{Bytes: merge.Bytes{Kind: merge.Link, Link: dir}}),
		"empty symlink":         body(file, merge.Body{Bytes: merge.Bytes{Kind: Symlink}}),
		"mode":                  body(file, merge.Body{Bytes: merge.Bytes{Kind: File}, Mode: 010000}),
		"attribute without sub": attr(regID{node: file, kind: regXattr}, "\x01v"),
		"bad mode":              attr(regID{node: file, kind: regMode}, "\xff\xff"),
		"bad placement":         attr(regID{node: file, kind: regPolicy, sub: string(make([]byte, 32))}, "\x09"),
		"short device":          attr(regID{node: file, kind: regPolicy, sub: "x"}, "\x01"),
		"unknown register":      attr(regID{node: file, kind: 77}, "x"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, 2)
			a, b := w.devices[0], w.devices[1]
			good := place(NodeID{0: 3}, merge.Place{Parent: Root, Name: "good"})
			goodBody := body(NodeID{0: 3}, merge.Body{Bytes: merge.Bytes{Kind: File}})
			err := b.Apply(context.Background(), a.id(), forge(w, a, good, goodBody, p))
			wantKind(t, err, errs.Corrupt)
			wantNames(t, b.Replica, Root, "good")
			checkView(t, b.Replica)
		})
	}
	t.Run("control", func(t *testing.T) { // the forge itself is sound
		w := newWorld(t, 1, 2)
		a, b := w.devices[0], w.devices[1]
		p := place(file, merge.Place{Parent: Root, Name: "x"})
		q := body(file, merge.Body{Bytes: merge.Bytes{Kind: File}})
		if err := b.Apply(context.Background(), a.id(), forge(w, a, p, q)); err != nil {
			t.Fatal(err)
		}
		wantNames(t, b.Replica, Root, "x")
	})
}

func TestRefusesStrangers(t *testing.T) {
	w := newWorld(t, 1, 2)
	b := w.devices[1]
	stranger := newWorld(t, 2, 0)
	stranger.share, stranger.sealer = w.share, w.sealer
	s := stranger.add("stranger")
	mkfile(t, s.Replica, Root, "x", 1)
	fs, claims := frames(t, s, Claims{})
	wantKind(t, b.Apply(context.Background(), s.id(), fs[0]), errs.Corrupt)
	must(b.Complete(context.Background(), s.id(), End{Claims: claims}))
	wantNames(t, b.Replica, Root)
	if len(b.Claims().Vector) != 0 {
		t.Errorf("claims a stranger's log: %+v", b.Claims())
	}
	other := newWorld(t, 3, 0) // a member of ours, writing in another share
	other.share = ident.ShareID{2}
	other.sealer = seal.New(other.share, epoch, [32]byte{7})
	o := other.add("dev0")
	mkfile(t, o.Replica, Root, "x", 1)
	fs, _ = frames(t, o, Claims{})
	wantKind(t, b.Apply(context.Background(), o.id(), fs[0]), errs.Corrupt)
	wantNames(t, b.Replica, Root)
}

// A device that signs two different things under one number is caught.
func TestForkIsRefused(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	mkfile(t, a.Replica, Root, "x", 1)
	pull(t, b, a, -1)
	place := func(v *merge.Version) regID {
		v.Class, v.Place = merge.Placed, &merge.Place{Parent: Root, Name: "y"}
		return regID{node: NodeID{0: 7}, kind: regPlace}
	}
	wantKind(t, b.Apply(context.Background(), a.id(), forge(w, a, place)), errs.Corrupt)
	wantNames(t, b.Replica, Root, "x")
}

// Claims of a peer are believed only as far as the writers themselves have signed.
func TestClaimsAreNotBelievedBlindly(t *testing.T) {
	w := newWorld(t, 1, 3)
	a, b, liar := w.devices[0], w.devices[1], w.devices[2]
	mkfile(t, a.Replica, Root, "x", 1)
	must(0, a.Sync(context.Background()))
	writer := ident.Writer{Device: a.id(), Incarnation: 1}
	must(b.Complete(context.Background(), liar.id(), End{Claims: Claims{Vector: []Dot{{Writer: writer, Seq: 1000}}}}))
	pull(t, b, a, -1)
	wantNames(t, b.Replica, Root, "x")
}

// A record under another writer's name is refused.
func TestRecordOfAnotherWriter(t *testing.T) {
	w := newWorld(t, 1, 3)
	a, b, liar := w.devices[0], w.devices[1], w.devices[2]
	mkfile(t, a.Replica, Root, "x", 1)
	mkfile(t, liar.Replica, Root, "y", 1)
	pull(t, liar, a, -1)
	fs, _ := frames(t, liar, Claims{})
	bad := remake(t, fs[0], func(f *frame) {
		for i := range f.records {
			f.records[i].writer.Device = map[bool]ident.DeviceID{true: liar.id(), false: a.id()}[f.records[i].writer.Device == a.id()]
		}
	})
	wantKind(t, b.Apply(context.Background(), liar.id(), bad), errs.Corrupt)
	wantNames(t, b.Replica, Root)
}

func TestUnreadableFrame(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	for _, bad := range [][]byte{nil, {}, {9}, {1}, {1, 1}, {1, 0, 0, 5}, {1, 0, 0, 0, 0}, bytes.Repeat([]byte{0xff}, 100), make([]byte, MaxFrame+1)} {
		wantKind(t, r.Apply(context.Background(), ident.DeviceID{1}, bad), errs.Protocol)
	}
}

// Frames with random damage are refused in whole or in part; nothing of them is shown that
// was not signed.
func TestDamagedFrames(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	d := mkdir(t, a.Replica, Root, "d")
	for i := range 5 {
		mkfile(t, a.Replica, d.ID, fmt.Sprint(i), i)
	}
	fs, claims := frames(t, a, Claims{})
	for range 500 {
		p := flip(fs[0], w.rng.Intn(len(fs[0])*8))
		switch w.rng.Intn(4) {
		case 0:
			p = p[:w.rng.Intn(len(p))]
		case 1:
			i, j := w.rng.Intn(len(p)), w.rng.Intn(len(p))
			copy(p[min(i, j):], p[max(i, j):])
		}
		if err := b.Apply(context.Background(), a.id(), p); err != nil && !isKind(err, errs.Corrupt, errs.Protocol) {
			t.Fatal(err)
		}
	}
	checkView(t, b.Replica)
	must(b.Complete(context.Background(), a.id(), End{Claims: claims}))
	pull(t, b, a, -1)
	wantNames(t, b.Replica, d.ID, "0", "1", "2", "3", "4")
	if ha, hb := a.Hello(ident.DeviceID{}), b.Hello(ident.DeviceID{}); ha.Fingerprint != hb.Fingerprint {
		t.Error("the replicas differ")
	}
}
