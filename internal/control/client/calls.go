package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

const (
	get  = http.MethodGet
	post = http.MethodPost
)

type none struct{}

func pathQuery(p string) url.Values { return url.Values{"path": {p}} }

// Status asks for the device as a whole.
func (c *Client) Status(ctx context.Context) (controlapi.Status, error) {
	return call[controlapi.Status](ctx, c, get, "/status", nil, nil)
}

// PathStatus asks for one path, which begins with "/" at the root of the share.
func (c *Client) PathStatus(ctx context.Context, path string) (controlapi.PathStatus, error) {
	return call[controlapi.PathStatus](ctx, c, get, "/path", pathQuery(path), nil)
}

// List calls each for every entry of a folder, in order of the names.
func (c *Client) List(ctx context.Context, path string, each func(controlapi.Entry) error) error {
	_, err := streamed[controlapi.Entry, none](ctx, c, get, "/list", pathQuery(path), nil, each)
	return err
}

// Devices asks for the account's devices.
func (c *Client) Devices(ctx context.Context) ([]controlapi.Device, error) {
	return call[[]controlapi.Device](ctx, c, get, "/devices", nil, nil)
}

// RankedPeers asks how the other devices rank as sources of blocks.
func (c *Client) RankedPeers(ctx context.Context) ([]controlapi.RankedPeer, error) {
	return call[[]controlapi.RankedPeer](ctx, c, get, "/peers", nil, nil)
}

// Limits asks for the limits in force.
func (c *Client) Limits(ctx context.Context) (controlapi.Limits, error) {
	return call[controlapi.Limits](ctx, c, get, "/limits", nil, nil)
}

// SetLimits replaces them.
func (c *Client) SetLimits(ctx context.Context, l controlapi.Limits) (controlapi.Limits, error) {
	return call[controlapi.Limits](ctx, c, post, "/limits", nil, l)
}

// Relays asks at which relays this device waits.
func (c *Client) Relays(ctx context.Context) ([]controlapi.Relay, error) {
	return call[[]controlapi.Relay](ctx, c, get, "/relays", nil, nil)
}

// UseRelay has this device wait at another one.
func (c *Client) UseRelay(ctx context.Context, q controlapi.UseRelayRequest) (controlapi.Relay, error) {
	return call[controlapi.Relay](ctx, c, post, "/relays/use", nil, q)
}

// LeaveRelay ends that.
func (c *Client) LeaveRelay(ctx context.Context, q controlapi.LeaveRelayRequest) error {
	_, err := call[none](ctx, c, post, "/relays/leave", nil, q)
	return err
}

// Brake asks what is held back because a device changed so much at once.
func (c *Client) Brake(ctx context.Context) (controlapi.Brake, error) {
	return call[controlapi.Brake](ctx, c, get, "/brake", nil, nil)
}

// Release lets it pass, on all devices.
func (c *Client) Release(ctx context.Context, q controlapi.ReleaseRequest) (controlapi.ReleaseResult, error) {
	return call[controlapi.ReleaseResult](ctx, c, post, "/brake/release", nil, q)
}

// Quarantine asks what was refused of what other devices sent.
func (c *Client) Quarantine(ctx context.Context) (controlapi.Quarantine, error) {
	return call[controlapi.Quarantine](ctx, c, get, "/quarantine", nil, nil)
}

// Thaw has it looked at again what a frozen device wrote.
func (c *Client) Thaw(ctx context.Context, q controlapi.ReleaseRequest) (controlapi.ReleaseResult, error) {
	return call[controlapi.ReleaseResult](ctx, c, post, "/quarantine/release", nil, q)
}

// Conflicts asks for the conflicts at and below a path.
func (c *Client) Conflicts(ctx context.Context, path string) (controlapi.Conflicts, error) {
	return call[controlapi.Conflicts](ctx, c, get, "/conflicts", pathQuery(path), nil)
}

// Resolve ends conflicts.
func (c *Client) Resolve(ctx context.Context, q controlapi.ResolveRequest) (controlapi.ResolveResult, error) {
	return call[controlapi.ResolveResult](ctx, c, post, "/resolve", nil, q)
}

// Why asks what keeps a path away.
func (c *Client) Why(ctx context.Context, path string) (controlapi.Why, error) {
	return call[controlapi.Why](ctx, c, get, "/why", pathQuery(path), nil)
}

// Pin fetches and keeps; progress may be nil.
func (c *Client) Pin(ctx context.Context, q controlapi.PlaceRequest, progress func(controlapi.Progress)) (controlapi.PlaceResult, error) {
	return streamed[controlapi.Progress, controlapi.PlaceResult](ctx, c, post, "/pin", nil, q, told(progress))
}

// Unpin lets go of what Pin kept.
func (c *Client) Unpin(ctx context.Context, q controlapi.PlaceRequest) (controlapi.PlaceResult, error) {
	return call[controlapi.PlaceResult](ctx, c, post, "/unpin", nil, q)
}

// Free drops what another device surely holds; progress may be nil.
func (c *Client) Free(ctx context.Context, q controlapi.PlaceRequest, progress func(controlapi.Progress)) (controlapi.PlaceResult, error) {
	return streamed[controlapi.Progress, controlapi.PlaceResult](ctx, c, post, "/free", nil, q, told(progress))
}

// Sync asks whether, or waits until, other devices have everything; progress may be nil.
func (c *Client) Sync(ctx context.Context, q controlapi.SyncRequest, progress func(controlapi.Pending)) (controlapi.SyncResult, error) {
	return streamed[controlapi.Pending, controlapi.SyncResult](ctx, c, post, "/sync", nil, q, told(progress))
}

// Offline asks which favourites and recent files would not open without network, and has them fetched;
// progress may be nil.
func (c *Client) Offline(ctx context.Context, q controlapi.OfflineRequest, progress func(controlapi.OfflineProgress)) (controlapi.OfflineResult, error) {
	return streamed[controlapi.OfflineProgress, controlapi.OfflineResult](ctx, c, post, "/offline", nil, q, told(progress))
}

// Invite opens an invitation that lives until ctx ends, each returns an error, or somebody
// has joined.
func (c *Client) Invite(ctx context.Context, q controlapi.InviteRequest, each func(controlapi.InviteEvent) error) (controlapi.Joined, error) {
	return streamed[controlapi.InviteEvent, controlapi.Joined](ctx, c, post, "/invite", nil, q, each)
}

// AnswerInvite hands over the person's decision about an asker.
func (c *Client) AnswerInvite(ctx context.Context, q controlapi.InviteAnswer) error {
	_, err := call[none](ctx, c, post, "/invite/answer", nil, q)
	return err
}

// Mount shows the namespace at an absolute path.
func (c *Client) Mount(ctx context.Context, q controlapi.MountRequest) (controlapi.Mount, error) {
	return call[controlapi.Mount](ctx, c, post, "/mount", nil, q)
}

// Unmount hides it.
func (c *Client) Unmount(ctx context.Context, q controlapi.UnmountRequest) error {
	_, err := call[none](ctx, c, post, "/unmount", nil, q)
	return err
}

// Stop flushes, unmounts and lets the daemon end; its process may live a little longer than
// the answer takes.
func (c *Client) Stop(ctx context.Context, q controlapi.StopRequest) error {
	_, err := call[none](ctx, c, post, "/stop", nil, q)
	return err
}

// Recovery asks whether the recovery phrase was confirmed.
func (c *Client) Recovery(ctx context.Context) (controlapi.Recovery, error) {
	return call[controlapi.Recovery](ctx, c, get, "/recovery", nil, nil)
}

// ConfirmRecovery compares a phrase with the account's.
func (c *Client) ConfirmRecovery(ctx context.Context, phrase string) error {
	_, err := call[none](ctx, c, post, "/recovery/confirm", nil, controlapi.ConfirmRequest{Phrase: phrase})
	return err
}

// told turns a callback that cannot fail, or none, into one that can.
func told[P any](f func(P)) func(P) error {
	if f == nil {
		return nil
	}
	return func(p P) error { f(p); return nil }
}
