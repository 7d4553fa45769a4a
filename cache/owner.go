package cache

import (
	"bytes"
	"iter"
	"maps"
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// Kind says why an owner wants a block. The numbers lie on the disk.
type Kind uint8

const (
	Writing Kind = 1 // being written here, not yet named by a committed record
	Written Kind = 2 // named by a record made here, not yet known to be elsewhere
	Pin     Kind = 3 // a person wants it kept
	Hold    Kind = 4 // kept for another reason (a promise to another device)
	History Kind = 5 // of contents that are past: kept while there is room
)

// Owner is a node, under one kind. A block may have any number of owners; an owner may own
// blocks that are not here (they take their class when they come).
type Owner struct {
	Kind Kind
	Node [16]byte
}

func (o Owner) stages() bool { return o.Kind == Writing || o.Kind == Written }

// counter is the count of the row to which the owner belongs.
func (o Owner) counter(r *row) *uint32 {
	switch {
	case o.stages():
		return &r.staged
	case o.Kind == History:
		return &r.past
	}
	return &r.pinned
}

// own adds an owner to a row in memory; its owner row is written.
func (tx *txn) own(o Owner, d blocks.Digest, r *row) error {
	k := tx.s.ownerKey(o, d)
	if *o.counter(r) > 0 {
		if ok, err := tx.b.Has(k); ok || err != nil {
			return err
		}
	}
	*o.counter(r)++
	return tx.b.Set(k, nil)
}

func (tx *txn) disown(o Owner, d blocks.Digest, r *row) error {
	if ok, err := tx.b.Has(tx.s.ownerKey(o, d)); !ok || err != nil {
		return err
	}
	return tx.lose(o, d, r)
}

// lose is disown for an owner that is one.
func (tx *txn) lose(o Owner, d blocks.Digest, r *row) error {
	if c := o.counter(r); *c > 0 {
		*c--
	}
	return tx.b.Delete(tx.s.ownerKey(o, d))
}

// ownChunk is how many blocks are changed under one hold of the index.
const ownChunk = 512

// change applies fn to the row of each block. Each chunk is atomic.
func (s *Store) change(op string, ds []blocks.Digest, fn func(*txn, blocks.Digest, *row) error) error {
	for len(ds) > 0 {
		n := min(len(ds), ownChunk)
		if err := s.update(op, func(tx *txn) error { return tx.change(ds[:n], fn) }); err != nil {
			return errs.E(op, errs.Other, "", err)
		}
		ds = ds[n:]
	}
	s.wake()
	return nil
}

func (tx *txn) change(ds []blocks.Digest, fn func(*txn, blocks.Digest, *row) error) error {
	for _, d := range ds {
		if d.IsZero() {
			continue // a hole
		}
		old, err := tx.row(d)
		if err != nil {
			return err
		}
		now := old
		if err := fn(tx, d, &now); err != nil {
			return err
		}
		if now != old {
			tx.replace(d, old, now)
		}
	}
	return nil
}

// Own adds an owner to blocks, here or not; zero digests are passed over. Up to 512 blocks are
// one atomic change. Durable after Sync.
func (s *Store) Own(o Owner, ds ...blocks.Digest) error {
	return s.change("cache.Own", ds, func(tx *txn, d blocks.Digest, r *row) error { return tx.own(o, d, r) })
}

// Disown takes an owner from blocks; those left without any may be evicted.
func (s *Store) Disown(o Owner, ds ...blocks.Digest) error {
	return s.change("cache.Disown", ds, func(tx *txn, d blocks.Digest, r *row) error { return tx.disown(o, d, r) })
}

// DisownAll takes an owner from all its blocks.
func (s *Store) DisownAll(o Owner) error {
	for {
		ds, err := s.ownedSome(s.db, o, ownChunk)
		if err != nil || len(ds) == 0 {
			return err
		}
		if err := s.Disown(o, ds...); err != nil {
			return err
		}
	}
}

// Replace makes ds the exact set of blocks that the owner owns, in one atomic change.
func (s *Store) Replace(o Owner, ds ...blocks.Digest) error {
	const op = "cache.Replace"
	err := s.update(op, func(tx *txn) error {
		had, err := s.ownedSome(tx.b, o, 0)
		if err != nil {
			return err
		}
		gone := make(map[blocks.Digest]bool, len(had))
		for _, d := range had {
			gone[d] = true
		}
		var come []blocks.Digest
		for _, d := range ds {
			if _, ok := gone[d]; ok {
				gone[d] = false
			} else {
				come = append(come, d)
			}
		}
		if err := tx.change(come, func(tx *txn, d blocks.Digest, r *row) error { return tx.own(o, d, r) }); err != nil {
			return err
		}
		for _, d := range had {
			if gone[d] {
				if err := tx.change([]blocks.Digest{d}, func(tx *txn, d blocks.Digest, r *row) error { return tx.disown(o, d, r) }); err != nil {
					return err
				}
			}
		}
		return nil
	})
	s.wake()
	return err
}

// How many nodes, and blocks of each, are settled under one hold of the index.
const (
	settleChunk  = 64
	settleBlocks = 1024
)

// Settle ends the writing of the nodes in keep: of the blocks under {Writing, node}, those that keep has
// for it get the owner {Written, node}, and all lose {Writing, node}. Atomic for each block.
func (s *Store) Settle(keep map[[16]byte][]blocks.Digest) error {
	defer s.wake()
	for nodes := range slices.Chunk(slices.SortedFunc(maps.Keys(keep), compareNodes), settleChunk) {
		kept := make(map[[16]byte]map[blocks.Digest]bool, len(nodes))
		for _, n := range nodes {
			kept[n] = make(map[blocks.Digest]bool, len(keep[n]))
			for _, d := range keep[n] {
				kept[n][d] = true
			}
		}
		for len(nodes) > 0 {
			var more [][16]byte
			err := s.update("cache.Settle", func(tx *txn) error {
				made, err := s.ownedBy(tx.b, Writing, settleBlocks, nodes)
				for _, n := range nodes {
					if err == nil {
						err = tx.settle(n, made[n], kept[n])
					}
					if len(made[n]) == settleBlocks {
						more = append(more, n)
					}
				}
				return err
			})
			if err != nil {
				return err
			}
			nodes = more
		}
	}
	return nil
}

func (tx *txn) settle(node [16]byte, made []blocks.Digest, keep map[blocks.Digest]bool) error {
	return tx.change(made, func(tx *txn, d blocks.Digest, r *row) error {
		if err := tx.lose(Owner{Writing, node}, d, r); err != nil || !keep[d] {
			return err
		}
		return tx.own(Owner{Written, node}, d, r)
	})
}

func compareNodes(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) }

// ownedSome lists up to max blocks of an owner (0: all).
func (s *Store) ownedSome(r kv.Reader, o Owner, max int) (ds []blocks.Digest, err error) {
	prefix := s.ownerPrefix(o)
	err = r.ScanKeys(prefix, func(k kv.Key) bool {
		if d := k[len(prefix):]; len(d) == len(blocks.Digest{}) {
			ds = append(ds, blocks.Digest(d))
		}
		return max == 0 || len(ds) < max
	})
	return ds, err
}

// Owns reports whether o owns a block, be it here or not.
func (s *Store) Owns(o Owner, d blocks.Digest) (bool, error) {
	ok, err := s.db.Has(s.ownerKey(o, d))
	if err != nil {
		return false, errs.E("cache.Owns", errs.Other, d.Short(), err)
	}
	return ok, nil
}

// Owned iterates over the blocks of an owner, in order of digest. Changes made meanwhile may
// or may not show. The error, if any, comes last.
func (s *Store) Owned(o Owner) iter.Seq2[blocks.Digest, error] {
	return func(yield func(blocks.Digest, error) bool) {
		prefix := s.ownerPrefix(o)
		for r := (kv.Range{Prefix: prefix, KeysOnly: true}); ; {
			ds := make([]blocks.Digest, 0, ownChunk)
			err := s.db.ScanRange(r, func(k kv.Key, _ []byte) bool {
				if d := k[len(prefix):]; len(d) == len(blocks.Digest{}) {
					ds = append(ds, blocks.Digest(d))
				}
				return len(ds) < ownChunk
			})
			for _, d := range ds {
				if !yield(d, nil) {
					return
				}
			}
			if err != nil {
				yield(blocks.Digest{}, errs.E("cache.Owned", errs.Other, "", err))
				return
			}
			if len(ds) < ownChunk {
				return
			}
			r.From, r.After = s.ownerKey(o, ds[len(ds)-1]), true
		}
	}
}

// OwnedBy lists what each of the nodes owns under a kind, up to most blocks (0: all). Many nodes at
// once, and more so those with ids close to one another, cost a fraction of as many Owned.
func (s *Store) OwnedBy(kind Kind, most int, nodes ...[16]byte) (map[[16]byte][]blocks.Digest, error) {
	slices.SortFunc(nodes, compareNodes)
	out, err := s.ownedBy(s.db, kind, most, slices.Compact(nodes))
	if err != nil {
		return nil, errs.E("cache.OwnedBy", errs.Other, "", err)
	}
	return out, nil
}

// ownedBy is OwnedBy for nodes in order.
func (s *Store) ownedBy(r kv.Reader, kind Kind, most int, nodes [][16]byte) (map[[16]byte][]blocks.Digest, error) {
	prefixes := make([]kv.Key, len(nodes))
	for i, n := range nodes {
		prefixes[i] = s.ownerPrefix(Owner{kind, n})
	}
	out := map[[16]byte][]blocks.Digest{}
	err := r.Each(prefixes, func(i int, k kv.Key) bool {
		if d := k[len(prefixes[i]):]; len(d) == len(blocks.Digest{}) {
			out[nodes[i]] = append(out[nodes[i]], blocks.Digest(d))
		}
		return most == 0 || len(out[nodes[i]]) < most
	})
	return out, err
}

// Owners iterates over the nodes that own blocks under a kind.
func (s *Store) Owners(kind Kind) iter.Seq2[[16]byte, error] {
	return func(yield func([16]byte, error) bool) {
		prefix := s.db.Key(tabOwner, kv.Plain([]byte{byte(kind)}))
		for r := (kv.Range{Prefix: prefix, KeysOnly: true}); ; {
			var node [16]byte
			found := false
			err := s.db.ScanRange(r, func(k kv.Key, _ []byte) bool {
				if rest := k[len(prefix):]; len(rest) == 16+32 {
					node, found = [16]byte(rest), true
				}
				return !found
			})
			if err != nil {
				yield(node, errs.E("cache.Owners", errs.Other, "", err))
				return
			}
			if !found || !yield(node, nil) {
				return
			}
			last := blocks.Digest{}
			for i := range last {
				last[i] = 0xff
			}
			r.From, r.After = s.ownerKey(Owner{kind, node}, last), true
		}
	}
}
