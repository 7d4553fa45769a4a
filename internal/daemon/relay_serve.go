package daemon

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/p2p"
)

// ServeRelay runs a relay until ctx ends, and calls ready with the addresses that devices use it by.
func ServeRelay(ctx context.Context, c config.Relay, log *slog.Logger, ready func(addrs []string)) error {
	listen, err := p2p.RelayListen(c.Listen)
	if err != nil {
		return err
	}
	key, secret, err := relayKeys(c.Dir)
	if err != nil {
		return err
	}
	r, err := p2p.NewRelay(ctx, p2p.RelayConfig{Key: key, Secret: secret, Listen: listen, Log: log})
	if errs.Is(err, errs.Busy) {
		return controlapi.WithHint(err, "another program has this port, or the address is none of this machine's; choose with --listen")
	}
	if err != nil {
		return err
	}
	defer r.Close()
	at, err := r.Addrs(c.Hosts...)
	if err != nil {
		return err
	}
	var texts []string
	for _, a := range at {
		if _, err := p2p.ParseRelayAddr(a.String()); err != nil {
			return errs.E("daemon.ServeRelay", errs.Invalid, "host of "+a.Place(), errors.New("say a name or an address, without a port"))
		}
		texts = append(texts, a.String())
	}
	ready(texts)
	<-ctx.Done()
	return nil
}

// relayFile holds two lines: the seed of the relay's key in base64, and its secret. Who has it can pretend to be
// the relay, and can read nothing.
const relayFile = "relay.key"

// relayKeys reads a relay's key and secret, or makes them.
func relayKeys(dir string) (key ed25519.PrivateKey, secret string, err error) {
	const op = "daemon.relayKeys"
	name := filepath.Join(dir, relayFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return newRelayKeys(dir)
	}
	if err != nil {
		return nil, "", errs.FromOS(op, name, err)
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	seed, err := base64.StdEncoding.DecodeString(string(line))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, "", errs.E(op, errs.Corrupt, name, errors.New("it is not whole; without it the relay gets a new address (remove it)"))
	}
	return ed25519.NewKeyFromSeed(seed), string(bytes.TrimSpace(rest)), nil
}

func newRelayKeys(dir string) (ed25519.PrivateKey, string, error) {
	const op = "daemon.relayKeys"
	key, secret := ident.NewKey(), p2p.NewRelaySecret()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", errs.FromOS(op, dir, err)
	}
	f, err := os.CreateTemp(dir, relayFile+".*") // 0600
	if err != nil {
		return nil, "", errs.FromOS(op, dir, err)
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "%s\n%s\n", base64.StdEncoding.EncodeToString(key.Seed()), secret)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, relayFile))
	}
	if err != nil {
		return nil, "", errs.FromOS(op, dir, err)
	}
	return key, secret, nil
}
