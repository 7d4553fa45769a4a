package wire

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

func TestFrameRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 64 << 10, 64<<10 + 1, 1<<20 + 3, MaxFrame} {
		body := bytes.Repeat([]byte{0xa5}, n)
		var buf bytes.Buffer
		if err := WriteFrame(&buf, body[:n/2], body[n/2:]); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFrame(&buf, MaxFrame)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
		}
		if _, err := ReadFrame(&buf, MaxFrame); err != io.EOF {
			t.Fatalf("end: %v, want io.EOF", err)
		}
	}
}

func TestFrameLimits(t *testing.T) {
	if err := WriteFrame(io.Discard, make([]byte, MaxFrame), []byte{1}); !errs.Is(err, errs.TooLarge) {
		t.Errorf("oversized write: %v", err)
	}
	long := binary.BigEndian.AppendUint32(nil, 0xffffffff)
	if _, err := ReadFrame(bytes.NewReader(long), MaxFrame); !errs.Is(err, errs.Protocol) {
		t.Errorf("huge length: %v", err)
	}
	if _, err := ReadFrame(bytes.NewReader([]byte{0, 0, 0, 9, 1}), 8); !errs.Is(err, errs.Protocol) {
		t.Errorf("over the caller's limit: %v", err)
	}
	if _, err := ReadFrame(bytes.NewReader([]byte{0, 0, 0, 9, 1}), 9); err != io.ErrUnexpectedEOF {
		t.Errorf("cut frame: %v", err)
	}
	if _, err := ReadFrame(bytes.NewReader([]byte{0, 0}), 9); err != io.ErrUnexpectedEOF {
		t.Errorf("cut header: %v", err)
	}
}

// A peer that announces 4 MiB and sends little must not make us allocate 4 MiB.
func TestFrameAllocatesWhatArrives(t *testing.T) {
	head := binary.BigEndian.AppendUint32(nil, MaxFrame)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ReadFrame(bytes.NewReader(head), MaxFrame); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	n := after.TotalAlloc - before.TotalAlloc
	if n > 2<<20 {
		t.Errorf("%d bytes allocated for an empty announcement", n)
	}
}

func TestCBORIsStrict(t *testing.T) {
	type msg struct {
		A uint64 `cbor:"1,keyasint"`
		B []byte `cbor:"2,keyasint,omitempty"`
	}
	enc := Marshal(msg{A: 5, B: []byte{1}})
	var m msg
	if err := Unmarshal(enc, &m); err != nil || m.A != 5 || !bytes.Equal(m.B, []byte{1}) {
		t.Fatalf("round trip: %+v %v", m, err)
	}
	for name, bad := range map[string][]byte{
		"duplicate key":     {0xa2, 1, 5, 1, 6},
		"unknown field":     {0xa1, 3, 5},
		"indefinite length": {0xbf, 1, 5, 0xff},
		"tag":               {0xa1, 1, 0xc1, 5},
		"trailing bytes":    append(bytes.Clone(enc), 0),
		"cut":               enc[:len(enc)-1],
		"huge array":        {0x9b, 0, 0, 0, 1, 0, 0, 0, 0},
		"deep nesting":      bytes.Repeat([]byte{0x81}, 100),
	} {
		var any1 any
		if err := Unmarshal(bad, &any1); name != "unknown field" && err == nil {
			t.Errorf("%s accepted as any", name)
		}
		if err := Unmarshal(bad, &m); !errs.Is(err, errs.Protocol) {
			t.Errorf("%s: %v, want Protocol", name, err)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 7})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ReadFrame(bytes.NewReader(b), 1<<16)
		if err == nil && len(got) > 1<<16 {
			t.Fatal("over the limit")
		}
	})
}
