package namespace

import (
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// A record whose payload is of a newer version than this program reads is held like all records
// of a blind replica (blind.go): merged, claimed and passed on under its register's hidden name,
// and not shown. What it overwrites of versions that can be read stays shown meanwhile, and
// nothing is collected, for it may depend on what else would be forgotten. When a newer program
// opens the replica, it reads them. The envelope of a record has no such freedom: to change
// that takes a new protocol.

// stateRead is the row of the newest payload version that the program which held them back could
// read.
const stateRead = 18

// holdsNewer reports whether there are records that this program cannot read.
func (r *Replica) holdsNewer() (some bool) {
	if r.blind() {
		return false
	}
	err := r.cfg.DB.ScanKeys(r.cfg.DB.Key(tableBlind), func(kv.Key) bool {
		some = true
		return false
	})
	return some || err != nil
}

// Newer counts the registers with records of a newer version than this program reads, up to most.
func (r *Replica) Newer(most int) (n int) {
	if r.blind() {
		return 0
	}
	_ = r.cfg.DB.ScanKeys(r.cfg.DB.Key(tableBlind), func(kv.Key) bool {
		n++
		return n < most
	})
	return n
}

// readNewer opens what an older program, or a replica without keys, held unread.
func (r *Replica) readNewer() error {
	if r.blind() {
		return nil
	}
	level := r.keys.state(stateRead)
	row, err := get(r.cfg.DB, level)
	if err != nil || len(row) == 2 && row[1] == r.cfg.reads {
		return err
	}
	prefix := r.cfg.DB.Key(tableBlind)
	var after kv.Key
	for {
		var page []regID
		rng := kv.Range{Prefix: prefix, From: after, After: true, KeysOnly: true}
		if err := r.cfg.DB.ScanRange(rng, func(k kv.Key, _ []byte) bool {
			page = append(page, regID{kind: regBlind, sub: string(k[len(prefix):])})
			after = k.Clone()
			return len(page) < applyStep
		}); err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		if err := r.transact("namespace.Open", func(t *tx) error {
			t.remote = true
			for _, id := range page {
				t.unseal(id)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	b := r.cfg.DB.Batch()
	_ = b.Set(level, []byte{rowVersion, r.cfg.reads})
	return b.Commit(kv.NoSync)
}

// unseal moves what can be read of a sealed register to where it belongs.
func (t *tx) unseal(id regID) {
	var rest merge.Register
	type open struct {
		id regID
		v  *merge.Version
	}
	var opened []open
	for _, v := range t.held(id) {
		rec, err := parseRecord([]byte(v.Value), v.Dot.Writer)
		var o open
		if err == nil {
			o.id, o.v, err = rec.open(t.r.cfg.Sealer, v.Dot.Writer, t.r.cfg.reads)
		}
		if err != nil {
			rest = append(rest, v)
			if !errs.Is(err, errs.Unsupported) {
				t.r.refuse(t.r.cfg.Self, badItem{writer: v.Dot.Writer, from: v.Dot.Seq, bytes: []byte(v.Value), err: err})
			}
			continue
		}
		opened = append(opened, o)
	}
	t.replace(id, rest)
	for _, o := range opened {
		t.insert(o.id, o.v)
	}
}
