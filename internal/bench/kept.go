//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/ident"
)

// kept reads a file of which all blocks are in the cache on disk, beside what the store and AES-GCM give
// alone: blocks of as many bytes, brought from a store of this process and opened, one after the other.
func kept(s *stage) ([]row, error) {
	name := filepath.Join(s.a.mnt, "kept")
	if err := writeSynced(name, s.vary(96)); err != nil {
		return nil, err
	}
	alone, err := newBareStore(filepath.Join(s.plain, "store"), s.data)
	if err != nil {
		return nil, err
	}
	defer alone.store.Close()
	mb := float64(len(s.data)) / 1e6
	ours, limit, err := paired(s.rounds,
		func(int) (float64, error) {
			dropCaches()
			return rate(mb, func() error { return readAll(name) })
		},
		func(int) (float64, error) {
			dropCaches()
			return rate(mb, alone.readAll)
		})
	return []row{{work: fmt.Sprintf("sequential %d MiB from the cache on disk", s.mib), unit: "MB/s", ours: ours, limit: limit,
		what: "the store and AES-GCM alone, one thread"}}, err
}

// bareStore is a store of sealed blocks without anything around it.
type bareStore struct {
	store  *cache.Store
	sealer *seal.Sealer
	names  []blocks.Digest
}

func newBareStore(dir string, data []byte) (*bareStore, error) {
	store, err := cache.Open(dir, [32]byte{1}, cache.Options{TrustDisk: true})
	if err != nil {
		return nil, err
	}
	b := &bareStore{store: store, sealer: seal.New(ident.ShareID{1}, 1, [32]byte{2})}
	for ; len(data) > 0; data = data[blockSize:] {
		x, err := b.sealer.Seal(seal.Data, data[:blockSize])
		if err == nil {
			err = store.PutBlock(context.Background(), x)
		}
		if err != nil {
			store.Close()
			return nil, err
		}
		b.names = append(b.names, x.Digest)
	}
	return b, nil
}

func (b *bareStore) readAll() error {
	sealed, plain := make([]byte, blocks.MaxSealed), make([]byte, 0, blockSize)
	for _, d := range b.names {
		x, err := b.store.GetBlockInto(context.Background(), d, sealed)
		if err != nil {
			return err
		}
		if _, err := b.sealer.Open(seal.Data, x, blockSize, plain); err != nil {
			return err
		}
	}
	return nil
}
