package control

import (
	"context"
	"net/http"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// restore and undo tell each path as it is done.
func (h *handler) restore(w http.ResponseWriter, r *http.Request) {
	tell(h, w, r, func(q controlapi.RestoreRequest) error {
		if err := checkPath(q.Path); err != nil || q.To == "" {
			return err
		}
		return checkPath(q.To)
	}, h.d.Restore)
}

func (h *handler) undo(w http.ResponseWriter, r *http.Request) {
	tell(h, w, r, func(controlapi.UndoRequest) error { return nil }, h.d.Undo)
}

// tell serves a request whose answer is a stream: progress thinned out, then the result.
func tell[Q, P, R any](h *handler, w http.ResponseWriter, r *http.Request, check func(Q) error, do func(context.Context, Q, func(P)) (R, error)) {
	q, err := body[Q](w, r)
	if err == nil {
		err = check(q)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	s := newStream[P, R](w)
	s.end(do(r.Context(), q, s.progress))
}
