package client

import (
	"context"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// Ledger asks which programs brought what to this device.
func (c *Client) Ledger(ctx context.Context, q controlapi.LedgerRequest) (controlapi.Ledger, error) {
	return call[controlapi.Ledger](ctx, c, post, "/ledger", nil, q)
}

// UndoRun frees what a run brought.
func (c *Client) UndoRun(ctx context.Context, q controlapi.UndoRunRequest) (controlapi.RunUndone, error) {
	return call[controlapi.RunUndone](ctx, c, post, "/ledger/undo", nil, q)
}

// Usage asks what the files at and below a path take and, with fetch, what it takes to bring the rest.
func (c *Client) Usage(ctx context.Context, path string, fetch bool) (controlapi.Usage, error) {
	q := pathQuery(path)
	if fetch {
		q.Set("fetch", "true")
	}
	return call[controlapi.Usage](ctx, c, get, "/usage", q, nil)
}

// Heat asks what is used on this device.
func (c *Client) Heat(ctx context.Context, q controlapi.HeatRequest) (controlapi.Heat, error) {
	return call[controlapi.Heat](ctx, c, post, "/heat", nil, q)
}
