package control

import (
	"context"
	"encoding/json"
	"net/http"
	"path"
	"strings"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// get serves a question without a body.
func get(h *handler, f func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		h.reply(w, r, v, err)
	}
}

// post serves a request with a JSON body and one answer.
func post[Q any](h *handler, f func(ctx context.Context, q Q) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := body[Q](w, r)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		v, err := f(r.Context(), q)
		h.reply(w, r, v, err)
	}
}

// body decodes exactly one JSON object of at most controlapi.MaxBody. Fields that this
// version does not know are refused: ignoring one could do something else than was asked.
func body[Q any](w http.ResponseWriter, r *http.Request) (q Q, err error) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, controlapi.MaxBody))
	dec.DisallowUnknownFields()
	if err := controlapi.Decode(dec, &q); err != nil {
		return q, errs.E("control.body", errs.Invalid, "request", err)
	}
	if dec.More() {
		return q, errs.E("control.body", errs.Invalid, "request: more than one object", nil)
	}
	return q, nil
}

// withPath calls f with the request's path, checked.
func withPath[T any](r *http.Request, f func(ctx context.Context, path string) (T, error)) (T, error) {
	p := r.URL.Query().Get("path")
	if err := checkPath(p); err != nil {
		var none T
		return none, err
	}
	return f(r.Context(), p)
}

// checkPath accepts clean paths from the root of the share, at most 4096 bytes long.
func checkPath(p string) error {
	switch {
	case len(p) > 4096:
		return errs.E("control.checkPath", errs.NameTooLong, p[:64]+"…", nil)
	case !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.ContainsRune(p, 0):
		return errs.E("control.checkPath", errs.Invalid, p, nil)
	}
	return nil
}

func checkPaths(ps []string) error {
	if len(ps) == 0 {
		return errs.E("control.checkPaths", errs.Invalid, "no path given", nil)
	}
	for _, p := range ps {
		if err := checkPath(p); err != nil {
			return err
		}
	}
	return nil
}

func (h *handler) reply(w http.ResponseWriter, r *http.Request, v any, err error) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := controlapi.Encode(json.NewEncoder(w), v); err != nil {
		h.log.Debug("control: answer not sent", "path", r.URL.Path, "err", err)
	}
}

func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := controlapi.FromError(err)
	h.log.Debug("control: request failed", "method", r.Method, "path", r.URL.Path, "kind", e.Kind, "err", err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpStatus(e.Kind.Errs()))
	_ = controlapi.Encode(json.NewEncoder(w), controlapi.Failure{Error: e})
}

// httpStatus is for people who use curl; clients look at the kind.
func httpStatus(k errs.Kind) int {
	switch k {
	case errs.NotExist:
		return http.StatusNotFound
	case errs.Invalid:
		return http.StatusBadRequest
	case errs.Permission, errs.Forbidden, errs.Refused:
		return http.StatusForbidden
	case errs.Busy, errs.Exist:
		return http.StatusConflict
	case errs.Unsupported:
		return http.StatusNotImplemented
	case errs.Offline:
		return http.StatusServiceUnavailable
	case errs.Timeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
