package client

import (
	"context"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// Versions asks what a path shows and showed.
func (c *Client) Versions(ctx context.Context, path string) (controlapi.Versions, error) {
	return call[controlapi.Versions](ctx, c, get, "/versions", pathQuery(path), nil)
}

// Removed asks what was removed from a folder.
func (c *Client) Removed(ctx context.Context, path string) (controlapi.Versions, error) {
	return call[controlapi.Versions](ctx, c, get, "/removed", pathQuery(path), nil)
}

// Restore brings an old state back; progress may be nil.
func (c *Client) Restore(ctx context.Context, q controlapi.RestoreRequest, progress func(controlapi.RestoredItem)) (controlapi.Restored, error) {
	return streamed[controlapi.RestoredItem, controlapi.Restored](ctx, c, post, "/restore", nil, q, told(progress))
}

// Undo takes this device's last change back; progress may be nil.
func (c *Client) Undo(ctx context.Context, q controlapi.UndoRequest, progress func(controlapi.RestoredItem)) (controlapi.Restored, error) {
	return streamed[controlapi.RestoredItem, controlapi.Restored](ctx, c, post, "/undo", nil, q, told(progress))
}
