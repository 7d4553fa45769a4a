package placement

import (
	"context"
	"slices"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

// HoldElsewhere asks connected devices to keep what so far only this device keeps, so that it
// is safe to switch this device off. Each file is asked of one device; those that already
// have everything are asked first. What they then keep they announce, and that releases our
// staged blocks. It returns the devices asked; Offline when nobody is connected, NoSpace with
// the last reason when nobody has room.
func (e *Engine) HoldElsewhere(ctx context.Context) ([]ident.DeviceID, error) {
	const op = "placement.HoldElsewhere"
	var nodes []namespace.NodeID
	for _, n := range e.owners(cache.Written) {
		if ent, err := e.cfg.Names.Get(n); err == nil && len(e.relievers(n)) == 0 && ent.Kind == namespace.File {
			nodes = append(nodes, n)
		}
		e.tryRelease(n)
	}
	e.cfg.Log.Debug("only here so far", "files", len(nodes))
	if len(nodes) == 0 {
		return nil, nil
	}
	devs := e.online()
	if len(devs) == 0 {
		return nil, errs.E(op, errs.Offline, "no other device is connected", nil)
	}
	var last error
	for _, dev := range devs {
		if last = e.askHold(ctx, dev, nodes); last == nil {
			return []ident.DeviceID{dev}, nil
		}
	}
	return nil, last
}

func (e *Engine) askHold(ctx context.Context, dev ident.DeviceID, nodes []namespace.NodeID) error {
	for chunk := range slices.Chunk(nodes, maxNodes) {
		m := holdRequest{}
		for i := range chunk {
			m.Nodes = append(m.Nodes, chunk[i][:])
		}
		var reply holdReply
		if err := e.ask(ctx, dev, m, &reply); err != nil {
			return err
		}
		if !reply.Accepted {
			return errs.E("placement.askHold", errs.NoSpace, reply.Reason, nil)
		}
	}
	return nil
}

func (e *Engine) ask(ctx context.Context, dev ident.DeviceID, question, answer any) error {
	s, err := e.cfg.Network.Open(ctx, dev, HoldProtocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	_ = s.SetDeadline(time.Now().Add(messageTime))
	if err := wire.WriteFrame(s, wire.Marshal(question)); err != nil {
		return err
	}
	f, err := wire.ReadFrame(s, frameLimit)
	if err != nil {
		return err
	}
	return wire.Unmarshal(f, answer)
}

// answerHold takes another device's wish that we keep some files.
func (e *Engine) answerHold(dev ident.DeviceID, s wire.Stream) {
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(messageTime))
	f, err := wire.ReadFrame(s, frameLimit)
	if err != nil {
		return
	}
	nodes, err := parseHold(f)
	if err != nil {
		e.cfg.Log.Warn("question refused", "device", dev.Short(), "err", err)
		return
	}
	_ = wire.WriteFrame(s, wire.Marshal(e.hold(nodes)))
}

// hold queues the files if there is room for them.
func (e *Engine) hold(nodes []namespace.NodeID) holdReply {
	var files []namespace.Entry
	for _, n := range nodes {
		if ent, err := e.cfg.Names.Get(n); err == nil && ent.Kind == namespace.File {
			files = append(files, ent)
		}
	}
	if len(files) < len(nodes) {
		return holdReply{Reason: "some of the files are not known here yet"}
	}
	if err := e.room(files); err != nil {
		return holdReply{Reason: "the cache of that device has no room left: raise its limit, or pin less there"}
	}
	e.cfg.Log.Debug("holding for another device", "files", len(files))
	for _, f := range files {
		e.pins.add(job{f.ID, ForSafety})
	}
	return holdReply{Accepted: true}
}

// leaveSoon tries to end the hold on a node by anybody's grant, once: what a person no longer
// wants here is kept only where nobody else keeps it.
func (e *Engine) leaveSoon(n namespace.NodeID) {
	e.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
		defer cancel()
		owner := cache.Owner{Kind: cache.Hold, Node: n}
		ds, err := e.owned(owner)
		if err != nil {
			return
		}
		rest, err := e.askLeave(ctx, e.online(), ds, func(granted []blocks.Digest) error { return e.cfg.Store.Disown(owner, granted...) })
		if err != nil || len(rest) > 0 {
			e.cfg.Log.Debug("kept until another device keeps it", "blocks", len(rest), "err", err)
		}
		if err := e.announceOwn(n); err != nil && !gone(err) {
			e.cfg.Log.Debug("not announced", "err", err)
		}
	})
}
