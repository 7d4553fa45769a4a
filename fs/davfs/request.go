package davfs

import (
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/paths"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// request is what is known of the request in whose course the library calls the tree: the
// library keeps neither why something failed nor that an upload broke off.
type request struct {
	method, path string

	mu      sync.Mutex
	err     error           // the last that the tree told of
	broken  error           // the body did not arrive whole
	replace map[string]bool // files that give way to what is moved or copied there
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

func (r *request) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil || !errs.Is(err, errs.NotExist) { // that a name is free hides nothing worse
		r.err = err
	}
}

// failed is why what was sent must not be kept; nil if nothing failed.
func (r *request) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken == nil && !errs.Is(r.err, errs.NotExist) { // that a name is free is no failure
		return r.err
	}
	return r.broken
}

// replaces reports whether the file of that name is removed by the file that takes its place, at
// once and not before. Of directories only the library's way is left.
func (r *request) replaces(ctx context.Context, t *tree, name string) bool {
	if r.method != "MOVE" && r.method != "COPY" || !t.isFile(ctx, r.path) || !t.isFile(ctx, name) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.replace == nil {
		r.replace = map[string]bool{}
	}
	r.replace[paths.Clean(name)] = true
	return true
}

// isFile reports whether a name is that of a file itself.
func (t *tree) isFile(ctx context.Context, name string) (is bool) {
	_ = t.walk(ctx, name, func(_ fs.Ino, a fs.Attr) error {
		is = a.Kind == namespace.File
		return nil
	})
	return is
}

func (r *request) replaced(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.replace[paths.Clean(name)]
}

// body notes when it breaks off.
type body struct {
	io.ReadCloser
	r *request
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.r.mu.Lock()
		b.r.broken = errs.E("davfs", errs.Interrupted, "", err)
		b.r.mu.Unlock()
	}
	return n, err
}

// status is the answer to a request that failed, where the library's own would mislead: 0 where
// it does not.
func (r *request) status() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch errs.KindOf(r.err) {
	case errs.NoSpace, errs.TooLarge:
		return http.StatusInsufficientStorage
	case errs.Offline, errs.Timeout:
		return http.StatusServiceUnavailable
	case errs.ReadOnly, errs.Forbidden, errs.Permission, errs.Refused:
		return http.StatusForbidden
	case errs.NameTooLong, errs.Invalid:
		return http.StatusBadRequest
	case errs.Exist, errs.IsDir:
		return http.StatusMethodNotAllowed
	}
	return 0
}
