package control

import (
	"context"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// Daemon is what the control server needs from the daemon. All methods may be called at the
// same time; ctx ends when the caller hangs up. Paths begin with "/" at the root of the
// share and are clean. Errors reach people through controlapi.FromError: errs kinds, with
// controlapi.E or controlapi.WithHint where there is advice to give.
type Daemon interface {
	Reporter
	Placer
	Inviter
	Mounter
	Syncer
	Recoverer
	Braker
	Quarantiner
	Resolver
	Historian
	Readier
	Accountant
	Limiter
	Relayer
	Stopper
}

// Reporter answers questions from local state; it never waits for the network, except Why,
// PathStatus and Usage, which may ask connected devices what they hold within a second.
type Reporter interface {
	Status(ctx context.Context) (controlapi.Status, error)
	PathStatus(ctx context.Context, path string) (controlapi.PathStatus, error)
	// List emits the entries of a folder in order of their names, or the one entry of
	// anything else. It stops with emit's error.
	List(ctx context.Context, path string, emit func(controlapi.Entry) error) error
	Devices(ctx context.Context) ([]controlapi.Device, error)
	// RankedPeers are the other devices in the order in which they are asked for blocks.
	RankedPeers(ctx context.Context) ([]controlapi.RankedPeer, error)
	Why(ctx context.Context, path string) (controlapi.Why, error)
	// Usage asks other devices only with fetch, a second for some thousand blocks.
	Usage(ctx context.Context, path string, fetch bool) (controlapi.Usage, error)
}

// Placer changes what lies on this device. One path that fails is told in its item and
// does not fail the call. Progress may be called from one goroutine at a time, often; the
// server thins it out.
type Placer interface {
	Pin(ctx context.Context, req controlapi.PlaceRequest, progress func(controlapi.Progress)) (controlapi.PlaceResult, error)
	Unpin(ctx context.Context, req controlapi.PlaceRequest) (controlapi.PlaceResult, error)
	Free(ctx context.Context, req controlapi.PlaceRequest, progress func(controlapi.Progress)) (controlapi.PlaceResult, error)
}

// Inviter opens an invitation and returns when a device has joined by it. When ctx ends or
// it fails, the invitation is void.
type Inviter interface {
	Invite(ctx context.Context, req controlapi.InviteRequest, host InviteHost) (controlapi.Joined, error)
}

// InviteHost is the person at the other end of an invitation.
type InviteHost interface {
	// Opened shows the token; it is called once, first.
	Opened(controlapi.InviteToken) error
	// Ask returns the person's decision on a device that proved to know the token.
	Ask(ctx context.Context, a controlapi.Asker) (bool, error)
	// Failed tells of an attempt that came to nothing.
	Failed(message string)
}

// Mounter shows and hides the namespace.
type Mounter interface {
	// Mount is Busy when mounted elsewhere, and does nothing when mounted at that path.
	Mount(ctx context.Context, req controlapi.MountRequest) (controlapi.Mount, error)
	Unmount(ctx context.Context, req controlapi.UnmountRequest) error
}

// Syncer waits for other devices. When the timeout passes it returns a result that is not
// Synced, and no error. It is Offline when the account has no other device.
type Syncer interface {
	Sync(ctx context.Context, req controlapi.SyncRequest, progress func(controlapi.Pending)) (controlapi.SyncResult, error)
}

// Recoverer knows the account's recovery phrase by a commitment to it.
type Recoverer interface {
	Recovery(ctx context.Context) (controlapi.Recovery, error)
	// ConfirmRecovery fails with controlapi.KindWrongPhrase when it is another one.
	ConfirmRecovery(ctx context.Context, phrase string) error
}

// Braker knows what is held back because a device changed so much at once.
type Braker interface {
	Brake(ctx context.Context) (controlapi.Brake, error)
	// Release lets it pass, on all devices. NotExist when there is nothing.
	Release(ctx context.Context, req controlapi.ReleaseRequest) (controlapi.ReleaseResult, error)
}

// Quarantiner knows what was refused of what other devices sent.
type Quarantiner interface {
	Quarantine(ctx context.Context) (controlapi.Quarantine, error)
	// Thaw looks again at what a frozen device wrote. NotExist when none is frozen.
	Thaw(ctx context.Context, req controlapi.ReleaseRequest) (controlapi.ReleaseResult, error)
}

// Resolver knows the names that several versions claim, and ends such conflicts. One path that
// fails is told in its item and does not fail the call.
type Resolver interface {
	Conflicts(ctx context.Context, path string) (controlapi.Conflicts, error)
	Resolve(ctx context.Context, req controlapi.ResolveRequest) (controlapi.ResolveResult, error)
}

// Historian knows what this device showed before. Versions and Removed are NotExist for paths that
// never were. One path that cannot be restored is told in its item and does not fail the call.
type Historian interface {
	Versions(ctx context.Context, path string) (controlapi.Versions, error)
	// Removed lists what was removed from a folder, which may itself be gone.
	Removed(ctx context.Context, path string) (controlapi.Versions, error)
	Restore(ctx context.Context, req controlapi.RestoreRequest, progress func(controlapi.RestoredItem)) (controlapi.Restored, error)
	// Undo is NotExist when this device has changed nothing that was there before.
	Undo(ctx context.Context, req controlapi.UndoRequest, progress func(controlapi.RestoredItem)) (controlapi.Restored, error)
}

// Readier knows which favourites and recent files would not open without network, and fetches them.
type Readier interface {
	// Offline stops with ctx; what was fetched stays.
	Offline(ctx context.Context, req controlapi.OfflineRequest, progress func(controlapi.OfflineProgress)) (controlapi.OfflineResult, error)
}

// Accountant knows which programs brought what to this device, and what is used on it.
type Accountant interface {
	Ledger(ctx context.Context, req controlapi.LedgerRequest) (controlapi.Ledger, error)
	// UndoRun frees what a run brought. NotExist when there is no such run.
	UndoRun(ctx context.Context, req controlapi.UndoRunRequest) (controlapi.RunUndone, error)
	Heat(ctx context.Context, req controlapi.HeatRequest) (controlapi.Heat, error)
}

// Limiter bounds the traffic of blocks.
type Limiter interface {
	Limits(ctx context.Context) (controlapi.Limits, error)
	// SetLimits replaces all of them, and returns those in force. Invalid: one is too low to work with.
	SetLimits(ctx context.Context, l controlapi.Limits) (controlapi.Limits, error)
}

// Relayer knows the relays of this device.
type Relayer interface {
	Relays(ctx context.Context) ([]controlapi.Relay, error)
	// UseRelay returns when the relay has a place for this device, or the first attempt failed: it is kept all
	// the same, and tried again.
	UseRelay(ctx context.Context, req controlapi.UseRelayRequest) (controlapi.Relay, error)
	LeaveRelay(ctx context.Context, req controlapi.LeaveRelayRequest) error
}

// Stopper flushes, unmounts and lets the daemon end. It returns when the mount is gone (or
// with Busy, and then the daemon goes on); the process ends after the answer is sent.
type Stopper interface {
	Stop(ctx context.Context, req controlapi.StopRequest) error
}
