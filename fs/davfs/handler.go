package davfs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/webdav"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

// handler is WebDAV over a tree.
type handler struct {
	t   *tree
	dav webdav.Handler
}

// NewHandler serves core, in the name of who, at "/". Locks are kept in memory.
func NewHandler(core *fs.FS, who fs.Caller, log *slog.Logger) http.Handler {
	t := &tree{core, who}
	return &handler{t: t, dav: webdav.Handler{FileSystem: t, LockSystem: webdav.NewMemLS(), Logger: func(r *http.Request, err error) {
		if err != nil {
			log.Debug("webdav: a request failed", "method", r.Method, "err", err)
		}
	}}}
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{method: r.Method, path: r.URL.Path}
	ctx := context.WithValue(r.Context(), requestKey{}, q)
	ctx = fs.WithReader(ctx, fs.Reader{}) // whose program is at the other end, nobody tells
	r = r.WithContext(ctx)
	if !h.holds(r) {
		http.Error(w, "the file is another one by now", http.StatusPreconditionFailed)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.get(w, r)
		return
	case "PROPFIND": // a million entries in one answer help nobody
		if d := r.Header.Get("Depth"); d != "0" && d != "1" {
			finite(w)
			return
		}
	case "MOVE", "COPY":
		if r.Header.Get("Overwrite") == "" { // RFC 4918, 10.6; the library takes it for F
			r.Header.Set("Overwrite", "T")
		}
	case http.MethodPut:
		if r.Header.Get("Content-Range") != "" { // RFC 9110, 14.5
			http.Error(w, "parts of a file cannot be replaced: send all of it", http.StatusBadRequest)
			return
		}
	}
	r.Body = body{r.Body, q}
	h.dav.ServeHTTP(&answer{ResponseWriter: w, h: h, r: r, q: q}, r)
}

// finite refuses to list a whole tree (RFC 4918, 9.1).
func finite(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?><error xmlns="DAV:"><propfind-finite-depth/></error>`)
}

// holds checks If-Match and If-None-Match, of which the library knows nothing, for what changes a
// file.
func (h *handler) holds(r *http.Request) bool {
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	if match == "" && none == "" || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	tag := ""
	if fi, err := h.t.Stat(r.Context(), r.URL.Path); err == nil {
		tag, _ = fi.(info).ETag(r.Context())
	}
	names := func(list string) bool {
		if strings.TrimSpace(list) == "*" {
			return tag != ""
		}
		for one := range strings.SplitSeq(list, ",") {
			if tag != "" && strings.TrimSpace(one) == tag {
				return true
			}
		}
		return false
	}
	return (match == "" || names(match)) && (none == "" || !names(none))
}

// get answers GET and HEAD. A file whose bytes cannot be had is told before anything is sent.
func (h *handler) get(w http.ResponseWriter, r *http.Request) {
	f, err := h.t.open(r.Context(), r.URL.Path)
	if err != nil {
		failed(w, err)
		return
	}
	defer f.Close()
	if f.h == nil {
		h.index(w, r, f)
		return
	}
	tag, _ := f.info.ETag(r.Context())
	w.Header().Set("ETag", tag)
	w.Header().Set("Content-Type", contentType(f.info.name))
	if r.Method == http.MethodGet && f.info.Size() > 0 {
		first := min(firstByte(r.Header.Get("Range"), f.info.Size()), f.info.Size()-1)
		if _, err := f.h.Read(r.Context(), first, make([]byte, 1)); err != nil {
			w.Header().Del("ETag")
			failed(w, err)
			return
		}
	}
	http.ServeContent(w, r, "", f.info.ModTime(), f)
	if requestOf(r.Context()).failed() != nil {
		panic(http.ErrAbortHandler) // the rest did not come: the client must not take this for all
	}
}

// firstByte is where a range begins; where that is hard to say, at the beginning.
func firstByte(rng string, size int64) int64 {
	spec, ok := strings.CutPrefix(rng, "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return 0
	}
	from, to, _ := strings.Cut(spec, "-")
	if n, err := strconv.ParseInt(from, 10, 64); err == nil {
		return max(n, 0)
	}
	if n, err := strconv.ParseInt(to, 10, 64); err == nil {
		return max(size-n, 0)
	}
	return 0
}

// failed answers with what went wrong.
func failed(w http.ResponseWriter, err error) {
	q := &request{err: err}
	switch code := q.status(); {
	case errs.Is(err, errs.NotExist):
		http.Error(w, "there is no such file", http.StatusNotFound)
	case code == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "no device that has this file can be reached", code)
	case code != 0:
		http.Error(w, http.StatusText(code), code)
	case errors.Is(err, context.Canceled):
	default:
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

// answer is the library's, corrected where it does not say why.
type answer struct {
	http.ResponseWriter
	h     *handler
	r     *http.Request
	q     *request
	other string // text instead of the library's
}

func (a *answer) WriteHeader(code int) {
	switch {
	case code >= 400 && code != http.StatusPreconditionFailed && code != http.StatusLocked:
		if c := a.q.status(); c != 0 && c != code {
			code, a.other = c, http.StatusText(c)
		}
	case a.r.Method == http.MethodPut && code < 300: // the file has its name and its times only now
		if fi, err := a.h.t.Stat(a.r.Context(), a.r.URL.Path); err == nil {
			tag, _ := fi.(info).ETag(a.r.Context())
			a.Header().Set("ETag", tag)
			a.Header().Set("Last-Modified", fi.ModTime().UTC().Format(http.TimeFormat))
		}
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.other != "" {
		_, err := io.WriteString(a.ResponseWriter, a.other)
		a.other = ""
		return len(p), err
	}
	return a.ResponseWriter.Write(p)
}
