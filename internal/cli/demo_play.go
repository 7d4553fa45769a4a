package cli

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// demoResult is what `shelf demo --json` prints. Times are milliseconds.
type demoResult struct {
	Homes           []*demoHome `json:"homes"`
	Files           int64       `json:"files"`
	Bytes           int64       `json:"bytes"`
	JoinMS          float64     `json:"join_ms"`        // the whole joining, until all names are there and mounted
	BlocksAfterJoin int64       `json:"blocks_joined"`  // content blocks received by then: none
	FirstByteMS     float64     `json:"first_byte_ms"`  // a random place in the big file
	FirstBlocks     int64       `json:"first_blocks"`   // blocks received for it
	WholeMS         float64     `json:"whole_ms"`       // another file, read whole
	WholeBytes      int64       `json:"whole_bytes"`    //
	ChangeSeenMS    float64     `json:"change_seen_ms"` // from closing a new file to its name on the other device
	CachedBytes     int64       `json:"cached_bytes"`   // on the desktop in the end
}

// play is the demo's story.
func (d *demo) play(ctx context.Context) (res demoResult, err error) {
	res.Homes = []*demoHome{d.laptop, d.desktop}
	d.tell("Two devices on this machine, each with a home, a daemon and a mount of its own.\n")
	for _, act := range []func(context.Context, *demoResult) error{
		d.playUp, d.playWrite, d.playJoin, d.playFirstByte, d.playWhole, d.playChange, d.playCached,
	} {
		if err := ctx.Err(); err != nil {
			return res, err
		}
		if err := act(ctx, &res); err != nil {
			return res, err
		}
	}
	return res, nil
}

// Only loopback: a demo is nobody else's business.
var demoListen = []string{"--listen", "/ip4/127.0.0.1/tcp/0"}

func (d *demo) playUp(ctx context.Context, _ *demoResult) error {
	took, err := d.laptop.run(ctx, nil, append([]string{"up", d.laptop.Mount, "--name", "laptop"}, demoListen...)...)
	if err != nil {
		return err
	}
	d.tell("laptop    made an account and mounted it in %s", span(took))
	return nil
}

func (d *demo) playWrite(ctx context.Context, res *demoResult) error {
	began := time.Now()
	var err error
	if res.Files, res.Bytes, err = writeFiles(ctx, d.laptop.Mount, d.exe); err != nil {
		return demoError(ctx, d.laptop, "writing files", err)
	}
	d.tell("laptop    wrote %s, %s, in %s", files(res.Files), size(res.Bytes), span(time.Since(began)))
	return nil
}

func (d *demo) playJoin(ctx context.Context, res *demoResult) error {
	token, wait, err := d.laptop.invite(ctx)
	if err != nil {
		return err
	}
	var joined joinJSON
	took, err := d.desktop.run(ctx, &joined, append([]string{"join", token, d.desktop.Mount, "--name", "desktop"}, demoListen...)...)
	if err != nil {
		// Then nobody uses the invitation; the process ends with the daemon.
		return err
	}
	if err := wait(); err != nil {
		return err
	}
	seen, err := countFiles(ctx, d.desktop.Mount)
	if err != nil {
		return demoError(ctx, d.desktop, "listing", err)
	}
	st, err := d.desktop.status(ctx)
	if err != nil {
		return err
	}
	res.JoinMS, res.BlocksAfterJoin = ms(took), st.Transferred.BlocksIn
	d.tell("desktop   joined by an invitation and shows %s, %s, after %s; contents received: %s",
		files(seen), size(st.Bytes), span(took), blocks(st.Transferred.BlocksIn))
	if seen != res.Files {
		return controlapi.E("error", "", "the desktop shows %d files, not %d", seen, res.Files)
	}
	return nil
}

func (d *demo) playFirstByte(ctx context.Context, res *demoResult) error {
	before, err := d.desktop.status(ctx)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(d.desktop.Mount, demoPhoto))
	if err != nil {
		return demoError(ctx, d.desktop, "opening "+demoPhoto, err)
	}
	defer f.Close()
	at := rand.Int64N(demoPhotoLen)
	began := time.Now()
	if _, err := f.ReadAt(make([]byte, 1), at); err != nil {
		return demoError(ctx, d.desktop, "reading "+demoPhoto, err)
	}
	took := time.Since(began)
	after, err := d.desktop.status(ctx)
	if err != nil {
		return err
	}
	res.FirstByteMS = ms(took)
	res.FirstBlocks = after.Transferred.BlocksIn - before.Transferred.BlocksIn
	d.tell("desktop   read one byte in the middle of %s (%s): %s, %s (%s) moved",
		demoPhoto, size(demoPhotoLen), span(took), blocks(res.FirstBlocks), size(after.Transferred.BytesIn-before.Transferred.BytesIn))
	return nil
}

func (d *demo) playWhole(ctx context.Context, res *demoResult) error {
	began := time.Now()
	there, n, err := sum(filepath.Join(d.desktop.Mount, demoProgram))
	took := time.Since(began)
	if err != nil {
		return demoError(ctx, d.desktop, "reading "+demoProgram, err)
	}
	here, _, err := sum(d.exe)
	if err != nil {
		return err
	}
	if here != there {
		return controlapi.E("corrupt", "", "%s arrived with other bytes", demoProgram)
	}
	res.WholeMS, res.WholeBytes = ms(took), n
	d.tell("desktop   read %s (%s) whole in %s, %.0f MB/s; the SHA-256 is that of the original",
		demoProgram, size(n), span(took), float64(n)/1e6/took.Seconds())
	return nil
}

func (d *demo) playChange(ctx context.Context, res *demoResult) error {
	const name = "answer from the desktop.txt"
	if err := os.WriteFile(filepath.Join(d.desktop.Mount, name), []byte("Seen.\n"), 0o644); err != nil {
		return demoError(ctx, d.desktop, "writing", err)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		b, err := os.ReadFile(filepath.Join(d.laptop.Mount, name))
		if err == nil && string(b) == "Seen.\n" {
			break
		}
		if perr := pause(ctx, time.Millisecond); perr != nil {
			return demoError(ctx, d.laptop, "waiting for a new file of the desktop", perr)
		}
	}
	res.ChangeSeenMS = ms(time.Since(began))
	d.tell("laptop    read a new file of the desktop %s after it was closed there", span(time.Since(began)))
	return nil
}

func (d *demo) playCached(ctx context.Context, res *demoResult) error {
	st, err := d.desktop.status(ctx)
	if err != nil {
		return err
	}
	res.CachedBytes = st.Cache.Used
	d.tell("desktop   keeps %s of the %s in its cache, encrypted; the rest comes when it is opened", size(st.Cache.Used), size(st.Bytes))
	return nil
}

// demoError says where in the story a file operation failed.
func demoError(ctx context.Context, h *demoHome, doing string, err error) error {
	if ctx.Err() != nil && context.Cause(ctx) != context.DeadlineExceeded {
		return ctx.Err()
	}
	return controlapi.E("error", "", "%s: %s: %s", h.Name, doing, err)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func countFiles(ctx context.Context, dir string) (n int64, err error) {
	err = fs.WalkDir(os.DirFS(dir), ".", func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.Type().IsRegular() {
			n++
		}
		return ctx.Err()
	})
	return n, err
}

// sum is a file's SHA-256 in hex, and its length.
func sum(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return fmt.Sprintf("%x", h.Sum(nil)), n, err
}
