package cli

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// What the demo puts on the laptop.
const (
	demoNotes    = 500
	demoPhoto    = "photos/holiday.raw"
	demoPhotoLen = 64 << 20
	demoProgram  = "programs/shelf"
)

// writeFiles fills a folder with real files: many small ones, one big one that cannot be
// compressed, and this program. It counts what it wrote.
func writeFiles(ctx context.Context, dir, exe string) (files, bytes int64, err error) {
	for i := range demoNotes {
		if ctx.Err() != nil {
			return files, bytes, ctx.Err()
		}
		p := filepath.Join(dir, "notes", fmt.Sprintf("2026-%02d", i%12+1), fmt.Sprintf("note-%03d.txt", i))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return files, bytes, err
		}
		text := fmt.Sprintf("Note %d\n\nWritten on the laptop, read on the desktop when somebody opens it.\n", i)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			return files, bytes, err
		}
		files, bytes = files+1, bytes+int64(len(text))
	}
	photo := &noise{ctx: ctx, r: rand.New(rand.NewPCG(1, 2)), left: demoPhotoLen}
	if err := writeFrom(filepath.Join(dir, demoPhoto), 0o644, photo); err != nil {
		return files, bytes, err
	}
	prog, err := os.Open(exe)
	if err != nil {
		return files, bytes, err
	}
	defer prog.Close()
	if err := writeFrom(filepath.Join(dir, demoProgram), 0o755, prog); err != nil {
		return files, bytes, err
	}
	fi, err := prog.Stat()
	if err != nil {
		return files, bytes, err
	}
	return files + 2, bytes + demoPhotoLen + fi.Size(), nil
}

func writeFrom(path string, mode os.FileMode, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	// Hide f's ReadFrom, so that the writes have a size of our choosing.
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, r, make([]byte, 1<<20))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// noise reads as left random bytes, until ctx ends.
type noise struct {
	ctx  context.Context
	r    *rand.Rand
	left int64
}

func (n *noise) Read(p []byte) (int, error) {
	if err := n.ctx.Err(); err != nil {
		return 0, err
	}
	if n.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), n.left)]
	var word [8]byte
	for i := 0; i < len(p); i += 8 {
		binary.LittleEndian.PutUint64(word[:], n.r.Uint64())
		copy(p[i:], word[:])
	}
	n.left -= int64(len(p))
	return len(p), nil
}
