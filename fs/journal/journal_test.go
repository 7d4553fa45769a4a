package journal

import (
	"bytes"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

func sample() fs.Promise {
	return fs.Promise{
		Base:    []namespace.Dot{{Writer: ident.Writer{Device: ident.DeviceID{1}, Incarnation: 2}, Seq: 3}},
		Content: blocks.Content{Root: blocks.Digest{4}, Depth: 1, Size: 500}, Size: 100, Mtime: -7,
		Parts: []fs.Part{{Off: 0, Data: []byte("abc")}, {Off: 50, Zeros: 50}},
	}
}

func TestRowOfAnotherVersion(t *testing.T) {
	b := encode(sample())
	if _, err := parse(b); err != nil {
		t.Fatal(err)
	}
	b[1] = version + 1
	if p, err := parse(b); err == nil {
		t.Errorf("a row of another version is read as %+v", p)
	}
}

// What is read lies within the file, and is written as it was.
func FuzzParse(f *testing.F) {
	f.Add(encode(sample()))
	f.Add(encode(fs.Promise{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parse(b)
		if err != nil {
			return
		}
		for _, x := range p.Parts {
			if x.Off < 0 || x.Zeros < 0 || x.Off+max(x.Zeros, int64(len(x.Data))) > p.Size {
				t.Errorf("%+v of %d bytes", x, p.Size)
			}
		}
		if again, err := parse(encode(p)); err != nil || !bytes.Equal(encode(again), encode(p)) {
			t.Errorf("%+v, then %+v: %v", p, again, err)
		}
	})
}
