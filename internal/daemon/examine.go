package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/keystore"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/mounthelper/probe"
)

const (
	examineTime = 10 * time.Second // for each store: what was not read by then, reads that meet it find out
	leastFree   = 32 << 20         // without it no store opens
	scantFree   = 128 << 20        // below it writes begin to be refused
)

// Examine looks at what a home holds, as far as no daemon has it: the key, and whether store and
// cache could be opened and read. It writes to neither. A home that has no key yet has no findings.
func Examine(ctx context.Context, h config.Home) []probe.Finding {
	how, err := keystore.Kept(h.Dir())
	if errs.Is(err, errs.NotExist) {
		return nil
	}
	found := []probe.Finding{free(h)}
	if err != nil {
		return append(found, problem("key", err, ""))
	}
	key := probe.Finding{ID: "key", OK: true, Fatal: true, What: "the key of this device is in the keyring of this system"}
	if how == keystore.HowFile {
		key.What = "the key of this device is in the file " + filepath.Join(h.Dir(), "key")
	}
	lock, err := h.Lock()
	if err != nil { // a daemon runs, which has opened them all; or no store could be locked, for which the home is to blame
		return append(found, key)
	}
	defer lock.Release()
	master, _, _, err := keystore.Unlock(ctx, h.Dir(), keystore.Options{NoKey: true})
	if err != nil {
		return append(found, problem("key", err, ""))
	}
	found = append(found, key)
	for _, part := range []struct {
		id, dir, mend string
		verify        func(context.Context) error
	}{
		{"store", h.StoreDir(), mendStore(h), func(ctx context.Context) error { return kv.Verify(ctx, h.StoreDir(), master, kv.Options{}) }},
		{"cache", h.CacheDir(), mendCache(h), func(ctx context.Context) error { return cache.Verify(ctx, h.CacheDir(), master) }},
	} {
		if _, err := os.Stat(part.dir); errors.Is(err, fs.ErrNotExist) {
			continue // it is made, or its absence told, by the next start
		}
		ctx, cancel := context.WithTimeout(ctx, examineTime)
		err := part.verify(ctx)
		cancel()
		switch {
		case errs.Is(err, errs.Corrupt):
			found = append(found, probe.Finding{ID: part.id, Fatal: true, What: "the " + part.id + " " + part.dir + " is damaged", Fix: part.mend})
		case err != nil:
			found = append(found, problem(part.id, errs.E("daemon.Examine", errs.Other, "the "+part.id+" "+part.dir+" cannot be read", err), "ls -lR "+part.dir))
		default:
			found = append(found, probe.Finding{ID: part.id, OK: true, Fatal: true, What: "the " + part.id + " " + part.dir + " can be read"})
		}
	}
	return found
}

// problem is what an error stands for; fix is for one without a hint.
func problem(id string, err error, fix string) probe.Finding {
	e := controlapi.FromError(err)
	if e.Hint != "" {
		fix = e.Hint
	}
	return probe.Finding{ID: id, Fatal: true, What: e.Message, Fix: fix}
}

// free tells whether the disk below the home has room.
func free(h config.Home) probe.Finding {
	n, ok := diskFree(h.Dir())
	f := probe.Finding{ID: "disk", OK: true, Fatal: true, What: "the disk of the home has room"}
	if ok {
		f.What = "the disk of the home has " + config.FormatSize(n) + " free"
		f.OK, f.Fatal = n >= scantFree, n < leastFree || n >= scantFree
	}
	if !f.OK {
		f.What += ", too little"
		f.Fix = "make some room on it"
	}
	return f
}
