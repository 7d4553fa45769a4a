package control

import (
	"context"
	"net/http"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// ledger serves what programs brought.
func (h *handler) ledger() http.HandlerFunc {
	return post(h, func(ctx context.Context, q controlapi.LedgerRequest) (any, error) {
		if q.Path != "" {
			if err := checkPath(q.Path); err != nil {
				return nil, err
			}
		}
		return h.d.Ledger(ctx, q)
	})
}

// heat serves what is used.
func (h *handler) heat() http.HandlerFunc {
	return post(h, func(ctx context.Context, q controlapi.HeatRequest) (any, error) {
		if q.Path != "" {
			if err := checkPath(q.Path); err != nil {
				return nil, err
			}
		}
		return h.d.Heat(ctx, q)
	})
}

// usage serves what files take.
func (h *handler) usage() http.HandlerFunc {
	return get(h, func(r *http.Request) (any, error) {
		fetch := r.URL.Query().Get("fetch") == "true"
		return withPath(r, func(ctx context.Context, path string) (controlapi.Usage, error) { return h.d.Usage(ctx, path, fetch) })
	})
}
