package placement

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

// HoldElsewhere asks connected devices to keep what so far only this device keeps, so that it
// is safe to switch this device off. The first that accepts is asked no further; what it then
// keeps it announces, and that releases our staged blocks. It returns the device asked; Offline
// when nobody is connected, NoSpace with the last reason when nobody has room.
func (e *Engine) HoldElsewhere(ctx context.Context) ([]ident.DeviceID, error) {
	const op = "placement.HoldElsewhere"
	var nodes []namespace.NodeID
	for _, n := range e.owners(cache.Written) {
		e.tryRelease(n)
		if e.lacksKeeper(n) {
			nodes = append(nodes, n)
		}
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

// lacksKeeper reports whether nobody who is connected said that it keeps n. That says nothing
// about a conflict copy: a file that has some is asked for all the same.
func (e *Engine) lacksKeeper(n namespace.NodeID) bool {
	ent, err := e.cfg.Names.Get(n)
	if err != nil || ent.Kind != namespace.File {
		return false
	}
	all, err := e.contents(n)
	return err == nil && (len(all) > 1 || len(e.relievers(n)) == 0)
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
	var none *NoRoom
	if err := e.room(context.Background(), ForSafety, files); errors.As(err, &none) && none.ByDisk() {
		return holdReply{Reason: "the disk of that device has no room left"}
	} else if err != nil {
		return holdReply{Reason: "the cache of that device has no room left: raise its limit, or pin less there"}
	}
	e.cfg.Log.Debug("holding for another device", "files", len(files))
	for _, f := range files {
		if err := e.pins.promise(f); err != nil {
			e.cfg.Log.Warn("cannot promise to hold", "err", err)
			return holdReply{Reason: "the store of that device cannot be written"}
		}
	}
	return holdReply{Accepted: true}
}
