package daemon

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"flag"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/fusefs"
	"github.com/shelffs/shelf/fs/holes"
	"github.com/shelffs/shelf/fs/journal"
)

var record = flag.String("record", "", "write the trace of TestRecordTrace to this file")

// recorder notes which blocks a filesystem asks for, in the form that cache's tests read.
type recorder struct {
	fs.Blocks
	mu    sync.Mutex
	on    bool
	ids   map[digest]int
	trace []byte
}

func (r *recorder) GetBlock(ctx context.Context, d digest) (blocks.Sealed, error) {
	b, err := r.Blocks.GetBlock(ctx, d)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch id, known := r.ids[d]; {
	case err != nil || !r.on:
	case known:
		r.trace = binary.AppendUvarint(r.trace, uint64(len(r.ids)-id))
	default:
		r.ids[d] = len(r.ids)
		r.trace = binary.AppendUvarint(append(r.trace, 0), uint64(len(b.Bytes)))
	}
	return b, err
}

// A week of work on a real mount, recorded: what is asked of the cache when the kernel and the filesystem
// begin each day with nothing in memory. A clone of this repository, Go's own sources, 300 photos.
//
//	go test ./internal/daemon -run TestRecordTrace -record "$PWD/cache/testdata/work.trace.gz"
func TestRecordTrace(t *testing.T) {
	if *record == "" {
		t.Skip("only with -record FILE")
	}
	s := home(t)
	s.CacheSize = 8 << 30
	d := mustOpen(t, s, &lonely{})
	defer d.Close()
	dir, gocache := t.TempDir(), t.TempDir()
	r := &recorder{Blocks: d.fetcher, ids: map[digest]int{}}
	day := func(scripts ...string) {
		t.Helper()
		ctx, changes := context.Background(), d.names.Watch()
		core, err := fs.New(ctx, fs.Config{Names: d.names, Rules: rules(s), Past: d.names, Changes: changes, Blocks: r, Store: d.cache,
			Journal: journal.Open(d.meta), Holes: holes.Open(d.meta), Interrupted: d.cache.Owners(cache.Writing), Damaged: d.cache.Damaged, Sealer: d.sealer,
			UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), StatFS: d.usage, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		srv, err := fusefs.Mount(ctx, dir, core, fusefs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, script := range scripts {
			c := exec.Command("bash", "-ec", script)
			c.Dir = dir
			c.Env = append(os.Environ(), "GOCACHE="+gocache, "GOROOT="+dir+"/go", "GOFLAGS=-buildvcs=false", "GIT_PAGER=cat")
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", script, err, out)
			}
		}
		if err := core.Sync(ctx); err != nil {
			t.Error(err)
		}
		if err := srv.Unmount(ctx, false); err != nil {
			t.Fatal(err)
		}
		_ = core.Close(ctx)
		changes.Close()
		t.Logf("%d blocks asked for, %d bytes of trace", len(r.ids), len(r.trace))
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	day("git clone -q "+root+" repo", "mkdir go photos; cd "+string(bytes.TrimSpace(goroot))+"; tar cf - --exclude=test --exclude=.git . | tar xf - -C "+dir+"/go")
	day(`for i in $(seq 0 299); do head -c $((1000000 + i % 7 * 300000)) /dev/urandom >photos/$i.jpg; done`)
	r.on = true
	status := "cd repo && git status -s && git log -30 --stat >/dev/null && git diff HEAD~3 >/dev/null"
	build := "cd repo && go build ./blocks/... ./internal/kv/... ./internal/namespace/merge"
	grep := "grep -rl Errorf repo --include='*.go' >/dev/null"
	photos := func(from, to string) string {
		return "for i in $(seq " + from + " " + to + "); do cat photos/$i.jpg; done >/dev/null"
	}
	day(status, build, grep)
	day(status, "cd repo && git checkout -q HEAD~60 && git status -s", build)
	day(photos("0", "299"), photos("280", "299"))
	day(status, "cd repo && git checkout -q - && git status -s", build, grep)
	day("grep -rl sync.Mutex go/src --include='*.go' >/dev/null", photos("100", "140"))
	day(status, build, "cd repo && git log -p -100 >/dev/null", photos("100", "120"))
	day(status, "cd repo && git gc -q", build, grep, photos("0", "60"))
	day(status, build, grep, "cd repo && go vet ./blocks/...")
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression)
	_, _ = w.Write(r.trace)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*record, z.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d blocks, %d bytes packed", len(r.ids), z.Len())
}
