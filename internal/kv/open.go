package kv

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kdf"
)

// tableOwn holds the store's own rows; their values are not sealed like others.
const tableOwn = 0

// keyCheck is the row that tells a wrong master key from a damaged store:
// u8 version | 16 bytes salt | 16 bytes HMAC(check key, salt) | 4 bytes SHA-256 of the foregoing.
var keyCheck = []byte{tableOwn, 'k', 'e', 'y'}

const checkLen = 1 + 16 + 16 + 4

// Open opens the store in dir, which it makes where there is none; master is the device's
// local key, or one derived from it. Errors: Permission (another master key), Busy (open in
// this or another process), Corrupt, NoSpace, NotExist (ReadOnly and no store there).
func Open(dir string, master [32]byte, o Options) (*DB, error) {
	const op = "kv.Open"
	o.setDefaults()
	rows, err := newRowSealer(master[:])
	if err != nil {
		return nil, err
	}
	d := &disk{log: o.Logger, rows: rows, readOnly: o.ReadOnly, guard: newGuard(o, dir), rested: make(chan struct{})}
	if !o.ReadOnly {
		if err := Mkdir(o.FS, dir); err != nil {
			return nil, errs.FromOS(op, "", err)
		}
	} else if _, err := o.FS.Stat(dir); err != nil {
		return nil, errs.FromOS(op, "", err)
	}
	if d.lock, err = pebble.LockDirectory(dir, o.FS); err != nil {
		return nil, errs.E(op, lockKind(err), "", err)
	}
	if err := d.guard.roomToOpen(); err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	if d.p, err = openPebble(dir, o, d); err != nil {
		return nil, errors.Join(errs.E(op, openKind(err), "", err), d.lock.Close())
	}
	d.pebbleReader = pebbleReader{d, d.p}
	if err := d.checkMaster(kdf.Derive(master[:], kdf.LocalEnv)); err != nil {
		return nil, errors.Join(err, d.p.Close(), d.lock.Close())
	}
	d.guard.begin(d.p)
	if o.ReadOnly {
		close(d.rested)
	} else {
		go d.rest(o.restAfter)
	}
	prf := kdf.Derive(master[:], kdf.RowPRF)
	return &DB{engine: d, gate: newGate(), keys: newKeyer(func() hash.Hash { return hmac.New(sha256.New, prf[:]) })}, nil
}

// Mkdir makes dir and what is missing above it, and makes their names durable.
func Mkdir(fs FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	parent := fs.PathDir(dir)
	if parent == dir {
		return fs.MkdirAll(dir, 0o700)
	}
	if err := Mkdir(fs, parent); err != nil {
		return err
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := fs.OpenDir(parent)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (o *Options) setDefaults() {
	if o.CacheBytes <= 0 {
		o.CacheBytes = 32 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.FreeFloor == 0 {
		o.FreeFloor = 32 << 20
	}
	if o.memTable == 0 {
		o.memTable = 16 << 20
	}
	if o.restAfter == 0 {
		o.restAfter = restAfter
	}
	if o.Ballast == 0 {
		o.Ballast = 2 * o.memTable // what the log may still have in memory, and some
	}
}

// blockSize is how many bytes of rows a table reads and writes at once. With rows as small as a
// namespace's, smaller blocks cost more calls of the system than they save bytes.
const blockSize = 16 << 10

// openPebble opens the engine; what it panics about while it reads foreign bytes is corruption.
func openPebble(dir string, o Options, d *disk) (p *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, errors.Join(pebble.ErrCorruption, fmt.Errorf("%v", r))
			if f := d.guard.failure(); f != nil {
				err = f
			}
		}
	}()
	po := &pebble.Options{
		FS:                    guardFS{o.FS, d.guard},
		Lock:                  d.lock,
		ReadOnly:              o.ReadOnly,
		CacheSize:             o.CacheBytes + 2*o.memTable, // which the engine counts against it
		FormatMajorVersion:    pebble.FormatTableFormatV6,
		Logger:                &logger{log: o.Logger, guard: d.guard},
		EventListener:         d.guard.listener(),
		MemTableSize:          uint64(o.memTable),
		L0CompactionThreshold: 8, // a bulk write is merged with what was there half as often as by default
		LBaseMaxBytes:         32 << 20,
		MaxOpenFiles:          512,
		Cleaner:               noRecycling{},
		BytesPerSync:          1 << 20,

		// The guard holds writers back long before.
		MemTableStopWritesThreshold: 1000,
		L0StopWritesThreshold:       1000,
	}
	po.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone }) // sealed rows don't shrink
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].BlockSize = blockSize
	}
	p, err = pebble.Open(dir, po)
	if err == nil && d.guard.failure() != nil {
		_ = p.Close()
		return nil, d.guard.failure()
	}
	return p, err
}

// checkMaster compares the check row, or writes it into an empty store.
func (d *disk) checkMaster(key [32]byte) error {
	const op = "kv.Open"
	row, closer, err := d.p.Get(keyCheck)
	if errors.Is(err, pebble.ErrNotFound) {
		return d.newCheck(key)
	}
	if err != nil {
		return readError(op, keyCheck, err)
	}
	defer closer.Close()
	if len(row) != checkLen || row[0] != rowVersion {
		return errs.E(op, errs.Corrupt, "key check", nil)
	}
	if sum := sha256.Sum256(row[:33]); string(sum[:4]) != string(row[33:]) {
		return errs.E(op, errs.Corrupt, "key check", nil)
	}
	if !hmac.Equal(checkMAC(key, row[1:17]), row[17:33]) {
		return errs.E(op, errs.Permission, "wrong key", nil)
	}
	return nil
}

func (d *disk) newCheck(key [32]byte) error {
	const op = "kv.Open"
	it, err := d.p.NewIter(nil)
	if err != nil {
		return readError(op, keyCheck, err)
	}
	empty := !it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return readError(op, keyCheck, err)
	}
	if !empty {
		return errs.E(op, errs.Corrupt, "key check is missing", nil)
	}
	if d.readOnly {
		return errs.E(op, errs.NotExist, "", nil)
	}
	row := make([]byte, 17, checkLen)
	row[0] = rowVersion
	_, _ = rand.Read(row[1:])
	row = append(row, checkMAC(key, row[1:17])...)
	sum := sha256.Sum256(row)
	row = append(row, sum[:4]...)
	if err := d.p.Set(keyCheck, row, pebble.Sync); err != nil {
		return errs.FromOS(op, "", err)
	}
	if err := d.guard.failure(); err != nil {
		return errs.FromOS(op, "", err)
	}
	return nil
}

func checkMAC(key [32]byte, salt []byte) []byte {
	m := hmac.New(sha256.New, key[:])
	m.Write(salt)
	return m.Sum(nil)[:16]
}

// openKind gives an error of pebble.Open its kind. What the system did not refuse is damage,
// and so is a file that is not there although the store's own manifest names it.
func openKind(err error) errs.Kind {
	var no syscall.Errno
	switch {
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return errs.NotExist
	case pebble.IsCorruptionError(err), errors.Is(err, os.ErrNotExist):
		return errs.Corrupt
	case errs.OS(err) == errs.Other && !errors.As(err, &no):
		return errs.Corrupt
	}
	return errs.OS(err)
}
