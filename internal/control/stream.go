package control

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// progressEvery thins out progress: more often than that nobody can read it.
const progressEvery = 100 * time.Millisecond

// stream writes Frames, one a line, each sent at once. It may be used by several goroutines.
type stream[P, R any] struct {
	mu   sync.Mutex // held while a line is written to the local socket
	rc   *http.ResponseController
	enc  *json.Encoder
	last time.Time // of the newest thinned-out progress
	err  error     // first failure: the caller has hung up
}

func newStream[P, R any](w http.ResponseWriter) *stream[P, R] {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	s := &stream[P, R]{rc: http.NewResponseController(w), enc: json.NewEncoder(w)}
	s.err = s.rc.Flush()
	return s
}

func (s *stream[P, R]) send(f controlapi.Frame[P, R], thin bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if thin {
		if now := time.Now(); now.Sub(s.last) < progressEvery {
			return nil
		} else {
			s.last = now
		}
	}
	if s.err = controlapi.Encode(s.enc, f); s.err == nil {
		s.err = s.rc.Flush()
	}
	return s.err
}

// progress sends p unless one was sent just before.
func (s *stream[P, R]) progress(p P) { _ = s.send(controlapi.Frame[P, R]{Progress: &p}, true) }

// event sends p in any case.
func (s *stream[P, R]) event(p P) error { return s.send(controlapi.Frame[P, R]{Progress: &p}, false) }

// end sends the last frame.
func (s *stream[P, R]) end(r R, err error) {
	if err != nil {
		_ = s.send(controlapi.Frame[P, R]{Error: controlapi.FromError(err)}, false)
		return
	}
	_ = s.send(controlapi.Frame[P, R]{Result: &r}, false)
}

type placeFunc = func(context.Context, controlapi.PlaceRequest, func(controlapi.Progress)) (controlapi.PlaceResult, error)

func (h *handler) place(f placeFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := body[controlapi.PlaceRequest](w, r)
		if err == nil {
			err = checkPaths(q.Paths)
		}
		if err != nil {
			h.fail(w, r, err)
			return
		}
		s := newStream[controlapi.Progress, controlapi.PlaceResult](w)
		s.end(f(r.Context(), q, s.progress))
	}
}

func (h *handler) sync(w http.ResponseWriter, r *http.Request) {
	q, err := body[controlapi.SyncRequest](w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	s := newStream[controlapi.Pending, controlapi.SyncResult](w)
	s.end(h.d.Sync(r.Context(), q, s.progress))
}

// list streams a folder: each entry is a Progress, the result is empty. Lines are flushed in
// lots, since a folder may have a hundred thousand of them.
func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	p := r.URL.Query().Get("path")
	if err := checkPath(p); err != nil {
		h.fail(w, r, err)
		return
	}
	// Nothing is written before the first entry or the end, so that an early error has
	// its HTTP status.
	enc, begun := json.NewEncoder(w), false
	begin := func() {
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
	}
	err := h.d.List(r.Context(), p, func(e controlapi.Entry) error {
		begin()
		return controlapi.Encode(enc, controlapi.Frame[controlapi.Entry, empty]{Progress: &e})
	})
	switch {
	case err == nil:
		begin()
		_ = enc.Encode(controlapi.Frame[controlapi.Entry, empty]{Result: &empty{}})
	case begun:
		_ = controlapi.Encode(enc, controlapi.Frame[controlapi.Entry, empty]{Error: controlapi.FromError(err)})
	default:
		h.fail(w, r, err)
	}
}
