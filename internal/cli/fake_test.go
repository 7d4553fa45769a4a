package cli

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

const fakePhrase = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon " +
	"abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art"

var fakeNow = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

// fakeState is what the fake daemon keeps in its store between runs.
type fakeState struct {
	Device    controlapi.DeviceName
	Devices   int
	Files     int64
	Confirmed bool
	Limits    controlapi.Limits
	Relays    []controlapi.Relay
}

// fakeDaemon is a daemon without a network and a filesystem, behind the real control server.
// SHELF_FAKE tells it to misbehave: a comma-separated list of words.
type fakeDaemon struct {
	released bool // what the brake held back
	start    config.Start
	stop     context.CancelFunc

	mu    sync.Mutex
	state fakeState
	mount controlapi.Mount
}

func fakeWants(word string) bool {
	return slices.Contains(strings.Split(os.Getenv("SHELF_FAKE"), ","), word)
}

// runFake is a RunDaemon.
func runFake(ctx context.Context, s config.Start, log *slog.Logger, emit func(controlapi.StartEvent)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &fakeDaemon{start: s, stop: cancel}
	log.Info("fake daemon begins", "token", s.Token != "")
	switch {
	case fakeWants("die"):
		log.Error("something terrible")
		os.Exit(42)
	case fakeWants("hang"):
		d.wait(ctx)
		return nil
	case fakeWants("nofuse"):
		return controlapi.E(controlapi.KindMissing, "sudo apt-get install fuse3", "fusermount3 is not installed")
	}
	created, err := d.open(ctx, emit)
	if err != nil {
		return err
	}
	sock, err := s.Home.MakeSocketPath()
	if err != nil {
		return err
	}
	ln, err := control.Listen(sock, log)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- control.Serve(ctx, ln, d, log) }()
	if s.Mountpoint != "" {
		if _, err := d.Mount(ctx, controlapi.MountRequest{Path: s.Mountpoint, AllowOther: s.AllowOther}); err != nil {
			return err
		}
	}
	if s.Via == config.ViaWebDAV {
		if _, err := d.Mount(ctx, controlapi.MountRequest{Via: s.Via}); err != nil {
			return err
		}
	}
	d.mu.Lock()
	emit(controlapi.ReadyEvent(controlapi.Ready{PID: os.Getpid(), Created: created, Joined: s.Token != "",
		Device: d.state.Device, Mount: d.mount, Files: d.state.Files, Bytes: d.state.Files * 1000}))
	d.mu.Unlock()
	err = <-served
	_ = d.Unmount(context.Background(), controlapi.UnmountRequest{Force: true})
	return err
}

// wait does nothing until ctx ends; HOME/waiting is there meanwhile.
func (d *fakeDaemon) wait(ctx context.Context) {
	mark := filepath.Join(d.start.Home.Dir(), "waiting")
	_ = os.WriteFile(mark, nil, 0o600)
	<-ctx.Done()
	_ = os.Remove(mark)
}

func (d *fakeDaemon) file() string { return filepath.Join(d.start.Home.StoreDir(), "fake.json") }

func (d *fakeDaemon) open(ctx context.Context, emit func(controlapi.StartEvent)) (created bool, err error) {
	if b, err := os.ReadFile(d.file()); err == nil {
		if d.start.Token != "" {
			return false, controlapi.E(controlapi.KindHasAccount, "", "an account is here")
		}
		return false, json.Unmarshal(b, &d.state)
	}
	d.state = fakeState{Device: controlapi.DeviceName{ID: "qrstuvw", Name: d.start.Name}, Devices: 1}
	switch {
	case d.start.Token != "":
		if err := d.join(ctx, emit); err != nil {
			return false, err
		}
	case d.start.Create:
		emit(controlapi.PhraseEvent(fakePhrase))
		created = true
	default:
		return false, controlapi.E(controlapi.KindNoAccount, "shelf up", "there is no account here")
	}
	return created, d.save()
}

func (d *fakeDaemon) join(ctx context.Context, emit func(controlapi.StartEvent)) error {
	emit(controlapi.ProgressEvent(controlapi.StartProgress{Stage: controlapi.StageConnect}))
	switch d.start.Token {
	case "shelf-join-expired":
		return errs.E("share.Join", errs.Refused, "the invitation has expired", nil)
	case "shelf-join-typo":
		return errs.E("share.ParseToken", errs.Invalid, "the invitation has a typing error", nil)
	case "shelf-join-gone":
		return errs.E("share.Join", errs.Offline, "the inviting device", nil)
	case "shelf-join-slow":
		d.wait(ctx)
		return ctx.Err()
	}
	emit(controlapi.CodeEvent(controlapi.JoinCode{Code: "123 456", Device: "laptop"}))
	emit(controlapi.ProgressEvent(controlapi.StartProgress{Stage: controlapi.StageNamespace}))
	d.state.Devices, d.state.Files = 2, 3
	return nil
}

func (d *fakeDaemon) save() error {
	if err := os.MkdirAll(d.start.Home.StoreDir(), 0o700); err != nil {
		return err
	}
	b, _ := json.Marshal(d.state)
	return os.WriteFile(d.file(), b, 0o600)
}

func (d *fakeDaemon) Status(context.Context) (controlapi.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	st := controlapi.Status{
		Daemon:  controlapi.DaemonInfo{PID: os.Getpid(), Version: d.start.Version},
		Account: controlapi.Account{ID: "acc", Devices: d.state.Devices, RecoveryConfirmed: d.state.Confirmed},
		Device:  d.state.Device,
		Mount:   d.mount,
		Cache:   controlapi.Cache{Limit: d.start.CacheSize, Quota: d.start.PinQuota, Used: 3 << 20, Pinned: 1 << 20, Staged: 1 << 20, Fetched: 1 << 20},
		Scrub:   controlapi.Scrub{Verified: &fakeNow, Begun: &fakeNow, Done: 1, Damaged: 3, Repaired: 2},
		Files:   d.state.Files, Bytes: d.state.Files * 1000,
		Pending:     controlapi.Pending{Records: 2, Blocks: 1, Bytes: 2048},
		Transferred: controlapi.Transferred{BlocksIn: 5, BytesIn: 5 << 18},
		Conflicts:   int64(len(d.fakeConflicts())),
	}
	if d.state.Devices > 1 {
		rtt, seen := 0.42, fakeNow
		st.Peers = []controlapi.Peer{
			{ID: "abcdefghij", Name: "laptop", Connected: true, Path: "lan", RTT: &rtt, LastSeen: &seen},
			{ID: "klmnopqrst", Name: "nas\x1b[31m"},
		}
	}
	if fakeWants("battery") {
		st.Background = controlapi.Background{OnBattery: true, Battery: new(18), Pressure: "disk", Waits: []controlapi.Waiting{
			{What: controlapi.WaitPins, Files: 3, Reason: "on battery at 18 %"}, {What: controlapi.WaitFetching, Files: 1, Reason: "the disk is busy"},
			{What: controlapi.WaitVerifying, Reason: "on battery at 18 %"}}}
	}
	if fakeWants("alone") {
		for i := range st.Peers {
			st.Peers[i].Connected = false
		}
	}
	return st, nil
}

// fakeTree is the namespace of every fake account.
var fakeTree = map[string]controlapi.Entry{
	"/":           {Kind: "dir", Mode: 0o755},
	"/docs":       {Name: "docs", Kind: "dir", Mode: 0o755, Mtime: fakeNow, Placement: "pinned"},
	"/docs/a.txt": {Name: "a.txt", Kind: "file", Mode: 0o644, Size: 5000, Here: &controlapi.Here{LocalBytes: 5000, Complete: true}, Mtime: fakeNow, Placement: "pinned", Inherited: true},
	"/docs/b.bin": {Name: "b.bin", Kind: "file", Mode: 0o4755, Size: 3 << 20, Here: &controlapi.Here{LocalBytes: 1 << 20}, Mtime: fakeNow, Placement: "automatic", Inherited: true},
	"/docs/link":  {Name: "link", Kind: "symlink", Mode: 0o777, Target: "a.txt", Here: &controlapi.Here{Complete: true}, Mtime: fakeNow, Placement: "automatic", Inherited: true},
	"/docs/bad\n": {Name: "bad\n", Kind: "file", Mode: 0o600, Size: 10, Here: &controlapi.Here{}, Mtime: fakeNow, Placement: "cloud",
		Conflict: &controlapi.Conflict{Of: "/docs/bad", Device: "laptop", When: fakeNow}},
	"/only-here": {Name: "only-here", Kind: "file", Mode: 0o600, Size: 10, Here: &controlapi.Here{LocalBytes: 10, Complete: true}, Mtime: fakeNow, Placement: "automatic"},
}

// fakeEntry also sums up a folder, which no listing does.
func fakeEntry(p string) (controlapi.Entry, error) {
	e, ok := fakeTree[p]
	if e.Here == nil {
		e.Here = &controlapi.Here{Complete: p != "/"}
	}
	if !ok {
		return e, errs.E("fake", errs.NotExist, p, nil)
	}
	return e, nil
}

func (d *fakeDaemon) PathStatus(_ context.Context, p string) (controlapi.PathStatus, error) {
	e, err := fakeEntry(p)
	ps := controlapi.PathStatus{Path: p, Kind: e.Kind, Size: e.Size, Files: 1, LocalBytes: e.LocalBytes, Complete: e.Complete,
		Mtime: e.Mtime, Placement: e.Placement, Inherited: e.Inherited, Conflict: e.Conflict, Writer: "laptop"}
	ps.Copies = []controlapi.Copy{{Device: "qrstuvw", Name: d.state.Device.Name, Self: true, Connected: true, Complete: e.Complete},
		{Device: "abcdefghij", Name: "laptop", Complete: true}}
	return ps, err
}

func (d *fakeDaemon) List(_ context.Context, p string, emit func(controlapi.Entry) error) error {
	e, err := fakeEntry(p)
	if err != nil {
		return err
	}
	if e.Kind != "dir" {
		return emit(e)
	}
	names := []string{}
	for n := range fakeTree {
		if n != "/" && path.Dir(n) == p {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		if err := emit(fakeTree[n]); err != nil {
			return err
		}
	}
	return nil
}

func (d *fakeDaemon) Devices(ctx context.Context) ([]controlapi.Device, error) {
	st, _ := d.Status(ctx)
	list := []controlapi.Device{{Peer: controlapi.Peer{ID: st.Device.ID, Name: st.Device.Name, Connected: true}, Self: true, Admitted: fakeNow}}
	for _, p := range st.Peers {
		d := controlapi.Device{Peer: p, Admitted: fakeNow}
		if !p.Connected {
			d.ClockSkew = new(int64(-3 * 3600 * 1000))
		}
		d.Frozen = fakeWants("frozen") && p.Connected
		list = append(list, d)
	}
	return list, nil
}

func (d *fakeDaemon) RankedPeers(ctx context.Context) ([]controlapi.RankedPeer, error) {
	st, _ := d.Status(ctx)
	list := []controlapi.RankedPeer{}
	for _, p := range st.Peers {
		r := controlapi.RankedPeer{Peer: p}
		if p.Connected {
			r = controlapi.RankedPeer{Peer: p, Rate: new(int64(25 << 20)), P95: new(12.5), Hits: new(0.97), Failures: 0.04, Requests: 3, InFlight: 3 << 18}
			r.Silent = fakeWants("silent")
		}
		list = append(list, r)
	}
	return list, nil
}

func (d *fakeDaemon) Limits(context.Context) (controlapi.Limits, error) { return d.state.Limits, nil }

func (d *fakeDaemon) SetLimits(_ context.Context, l controlapi.Limits) (controlapi.Limits, error) {
	d.state.Limits = l
	return l, d.save()
}

func (d *fakeDaemon) Relays(context.Context) ([]controlapi.Relay, error) { return d.state.Relays, nil }

func (d *fakeDaemon) UseRelay(_ context.Context, q controlapi.UseRelayRequest) (controlapi.Relay, error) {
	if q.Address != "shelf-relay://secret@relay.example.org:4001/ID" {
		return controlapi.Relay{}, controlapi.E("invalid", "", "this is none")
	}
	r := controlapi.Relay{Place: "relay.example.org:4001", ID: "ID", Waiting: !fakeWants("offline")}
	if !r.Waiting {
		r.Reason = "the relay is not reachable"
	}
	d.state.Relays = append(d.state.Relays, r)
	if err := d.save(); err != nil || r.Waiting {
		return r, err
	}
	return r, controlapi.E("offline", "it is kept", "%s", r.Reason)
}

func (d *fakeDaemon) LeaveRelay(_ context.Context, q controlapi.LeaveRelayRequest) error {
	n := len(d.state.Relays)
	d.state.Relays = slices.DeleteFunc(d.state.Relays, func(r controlapi.Relay) bool { return r.Place == q.Relay })
	if len(d.state.Relays) == n {
		return controlapi.E("not_exist", "see: shelf relay", "this device uses no relay %q", q.Relay)
	}
	return d.save()
}

func (d *fakeDaemon) Why(_ context.Context, p string) (controlapi.Why, error) {
	e, err := fakeEntry(p)
	w := controlapi.Why{Path: p, Here: e.Complete, Missing: e.Size - e.LocalBytes}
	if !e.Complete {
		w.Reason = "no device that has it is connected"
		w.Holders = []controlapi.Copy{{Device: "abcdefghij", Name: "laptop", Complete: true}}
		w.Hints = []string{"switch laptop on"}
	}
	return w, err
}

func (d *fakeDaemon) place(q controlapi.PlaceRequest, f func(e controlapi.Entry, it *controlapi.PlaceItem)) (controlapi.PlaceResult, error) {
	var r controlapi.PlaceResult
	for _, p := range q.Paths {
		it := controlapi.PlaceItem{Path: p, Files: 1}
		if e, err := fakeEntry(p); err != nil {
			it.Refused = &controlapi.Refusal{Kind: "not_exist", Reason: "there is no such file"}
		} else {
			it.Size, it.Placement, it.Complete = e.Size, "automatic", e.Complete
			f(e, &it)
		}
		r.Items = append(r.Items, it)
	}
	return r, nil
}

func (d *fakeDaemon) Pin(ctx context.Context, q controlapi.PlaceRequest, progress func(controlapi.Progress)) (controlapi.PlaceResult, error) {
	if fakeWants("slowpin") {
		for i := range int64(30) {
			progress(controlapi.Progress{Blocks: i, TotalBlocks: 30, Bytes: i << 20, TotalBytes: 30 << 20})
			time.Sleep(100 * time.Millisecond)
		}
	}
	return d.place(q, func(e controlapi.Entry, it *controlapi.PlaceItem) {
		it.Placement, it.Complete = "pinned", q.Wait
		if !e.Complete && q.Wait {
			it.MovedBlocks, it.MovedBytes = 8, 2<<20
		}
		if fakeWants("battery") && !q.Wait {
			it.Waits = "on battery at 18 %"
		}
	})
}

func (d *fakeDaemon) Unpin(_ context.Context, q controlapi.PlaceRequest) (controlapi.PlaceResult, error) {
	return d.place(q, func(e controlapi.Entry, it *controlapi.PlaceItem) {
		if e.Inherited {
			it.Placement = "pinned"
		}
	})
}

func (d *fakeDaemon) Free(_ context.Context, q controlapi.PlaceRequest, _ func(controlapi.Progress)) (controlapi.PlaceResult, error) {
	return d.place(q, func(e controlapi.Entry, it *controlapi.PlaceItem) {
		it.Placement = "cloud"
		if e.Name == "only-here" {
			it.KeptBlocks, it.KeptBytes = 1, 10
			it.Refused = &controlapi.Refusal{Kind: controlapi.KindOnlyCopy, Reason: "no other device has it", Paths: []string{it.Path}}
			return
		}
		it.MovedBlocks, it.MovedBytes, it.Complete = 1, e.LocalBytes, false
	})
}

// Offline lacks a part of b.bin, which can be fetched unless SHELF_FAKE says "alone".
func (d *fakeDaemon) Offline(_ context.Context, q controlapi.OfflineRequest, _ func(controlapi.OfflineProgress)) (controlapi.OfflineResult, error) {
	res := controlapi.OfflineResult{Looked: 5, MissingBytes: 2 << 20}
	f := controlapi.OfflineFile{Path: "/docs/b.bin", Why: controlapi.WhyRecent, Size: 3 << 20, Missing: 2 << 20, Mtime: fakeNow}
	switch {
	case q.Fix && fakeWants("full"):
		f.Refused = &controlapi.Refusal{Kind: "no_space", Reason: "the cache's limit leaves no room", Paths: []string{f.Path}}
	case q.Fix && fakeWants("alone"):
		f.Refused = &controlapi.Refusal{Kind: "offline", Reason: "no connected device has all of it", Paths: []string{f.Path}}
	case q.Fix:
		f.Missing, res.MissingBytes, res.FetchedBytes, res.Ready = 0, 0, 2<<20, true
	}
	res.Files = append(res.Files, f)
	return res, nil
}

func (d *fakeDaemon) Invite(ctx context.Context, q controlapi.InviteRequest, host control.InviteHost) (controlapi.Joined, error) {
	err := host.Opened(controlapi.InviteToken{ID: "i1", Token: "shelf-join-abc", Expires: fakeNow.Add(q.TTL), Addrs: []string{"/ip4/127.0.0.1/tcp/4001"}})
	if err != nil {
		return controlapi.Joined{}, err
	}
	if fakeWants("noasker") {
		d.wait(ctx)
		_ = os.WriteFile(filepath.Join(d.start.Home.Dir(), "cancelled"), nil, 0o600)
		return controlapi.Joined{}, ctx.Err()
	}
	host.Failed("a device had the wrong token")
	if os.Getenv("SHELF_FAKE_TREE") != "" { // then somebody really joins
		_ = pause(ctx, 200*time.Millisecond)
	}
	ok, err := host.Ask(ctx, controlapi.Asker{ID: "k1", Name: "phone", Code: "123 456"})
	if err != nil {
		return controlapi.Joined{}, err
	}
	if !ok {
		return controlapi.Joined{}, errs.E("fake", errs.Refused, "phone was not let in", nil)
	}
	return controlapi.Joined{Device: "zyxwvut", Name: "phone"}, nil
}

func (d *fakeDaemon) Mount(_ context.Context, q controlapi.MountRequest) (controlapi.Mount, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q.Via == config.ViaWebDAV {
		d.mount = controlapi.Mount{Adapter: q.Via, URL: "http://127.0.0.1:9/"}
		return d.mount, nil
	}
	if tree := os.Getenv("SHELF_FAKE_TREE"); tree != "" { // one namespace that all mounts show
		if err := os.Symlink(tree, q.Path); err != nil {
			return controlapi.Mount{}, err
		}
	} else if err := os.MkdirAll(q.Path, 0o700); err != nil {
		return controlapi.Mount{}, err
	}
	d.mount = controlapi.Mount{Path: q.Path, Adapter: "fake", Others: q.AllowOther}
	return d.mount, d.start.Home.SetMounted(q.Path)
}

func (d *fakeDaemon) Unmount(_ context.Context, q controlapi.UnmountRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fakeWants("busy") && !q.Force && d.mount.Path != "" {
		return controlapi.WithHint(errs.E("mounthelper.Unmount", errs.Busy, d.mount.Path, errors.New("used by vim (process 99)")),
			"end it, or: shelf down --force")
	}
	if os.Getenv("SHELF_FAKE_TREE") != "" && d.mount.Path != "" {
		_ = os.Remove(d.mount.Path)
	}
	d.mount = controlapi.Mount{}
	return d.start.Home.ClearMounted()
}

func (d *fakeDaemon) Sync(ctx context.Context, q controlapi.SyncRequest, _ func(controlapi.Pending)) (controlapi.SyncResult, error) {
	if d.state.Devices < 2 && q.Wait {
		return controlapi.SyncResult{}, controlapi.E("offline", "shelf invite", "there is no other device")
	}
	pending := controlapi.Pending{Records: 2, Blocks: 1, Bytes: 2048}
	if q.Wait && q.Timeout > 0 && (fakeWants("behind") || fakeWants("alone")) {
		_ = pause(ctx, q.Timeout)
		return controlapi.SyncResult{Pending: pending}, nil
	}
	if !q.Wait {
		return controlapi.SyncResult{Pending: pending}, nil
	}
	return controlapi.SyncResult{Synced: true, On: []string{"laptop"}}, nil
}

func (d *fakeDaemon) Recovery(context.Context) (controlapi.Recovery, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return controlapi.Recovery{Confirmed: d.state.Confirmed}, nil
}

// Brake holds back changes of the laptop until they are released.
func (d *fakeDaemon) Brake(context.Context) (controlapi.Brake, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := controlapi.Brake{Held: []controlapi.Hold{}, HeldBy: []string{}}
	if d.state.Devices > 1 && !d.released {
		b.Held = append(b.Held, controlapi.Hold{ID: "abcdefghij", Name: "laptop", Files: 512, Waiting: 1234, Since: fakeNow})
	}
	return b, nil
}

// Quarantine has refused something of the laptop, and frozen it if SHELF_FAKE says "frozen".
func (d *fakeDaemon) Quarantine(context.Context) (controlapi.Quarantine, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := controlapi.Quarantine{Refused: []controlapi.RefusedItem{}, Frozen: []controlapi.Frozen{}, FrozenBy: []string{}}
	if fakeWants("frozen") && !d.released {
		q.Refused = append(q.Refused, controlapi.RefusedItem{When: fakeNow, From: "laptop", Writer: "laptop", Number: 7, Why: "record: value", Size: 300})
		q.Frozen = append(q.Frozen, controlapi.Frozen{ID: "abcdefghij", Name: "laptop", Why: "record: value", Waiting: 5, Since: fakeNow})
		q.FrozenBy, q.Newer = append(q.FrozenBy, "nas"), 3
	}
	return q, nil
}

func (d *fakeDaemon) Thaw(ctx context.Context, q controlapi.ReleaseRequest) (controlapi.ReleaseResult, error) {
	if now, _ := d.Quarantine(ctx); len(now.Frozen) == 0 || q.Device != "" && q.Device != "laptop" {
		return controlapi.ReleaseResult{}, controlapi.E(controlapi.SlugOf(errs.NotExist), "see: shelf quarantine", "no device is frozen")
	}
	d.mu.Lock()
	d.released = true
	d.mu.Unlock()
	return controlapi.ReleaseResult{Released: []string{"laptop"}}, nil
}

func (d *fakeDaemon) Release(ctx context.Context, q controlapi.ReleaseRequest) (controlapi.ReleaseResult, error) {
	b, _ := d.Brake(ctx)
	if len(b.Held) == 0 || q.Device != "" && q.Device != "laptop" {
		return controlapi.ReleaseResult{}, controlapi.E(controlapi.SlugOf(errs.NotExist), "see: shelf brake", "nothing is held back")
	}
	d.mu.Lock()
	d.released = true
	d.mu.Unlock()
	return controlapi.ReleaseResult{Released: []string{"laptop"}}, nil
}

func (d *fakeDaemon) ConfirmRecovery(_ context.Context, phrase string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if phrase != fakePhrase {
		return controlapi.E(controlapi.KindWrongPhrase, "look for a word that is misspelt or out of order", "that is not the recovery phrase of this account")
	}
	d.state.Confirmed = true
	return d.save()
}

func (d *fakeDaemon) Stop(ctx context.Context, q controlapi.StopRequest) error {
	if err := d.Unmount(ctx, controlapi.UnmountRequest(q)); err != nil {
		return err
	}
	d.stop()
	return nil
}
