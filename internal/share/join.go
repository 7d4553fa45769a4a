package share

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/wire"
)

// Joiner is a device on its way into an account.
type Joiner struct {
	db    *kv.DB
	token Token
	name  string
	keys  deviceKeys
	opt   Options
}

// NewJoiner prepares to join with a token. The device's new keys are kept in the store, so
// that a join that was interrupted can be finished by the same device, with the same token
// or a newer one of the same inviter; they make no account, and Open still says NotExist.
// Errors: Exist if the store has an account already, Invalid for the name. Whether the token has
// expired is not asked here: its time is by the inviter's clock, and this device's may be years off.
func NewJoiner(db *kv.DB, token Token, name string, o Options) (*Joiner, error) {
	const op = "share.NewJoiner"
	o = o.withDefaults()
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if err := vacant(op, db); err != nil {
		return nil, err
	}
	j := &Joiner{db: db, token: token, name: name, opt: o}
	id := token.id()
	row, err := getRow(db, joinKey(db), joinRowVersion)
	if err != nil && !errs.Is(err, errs.NotExist) {
		return nil, errs.E(op, errs.Other, "", err)
	}
	if bytes.Equal(row.Inviter, token.Inviter[:]) {
		j.keys, err = row.Keys.keys()
		if err != nil {
			return nil, err
		}
	} else {
		j.keys = newDeviceKeys()
	}
	b := db.Batch()
	defer b.Close()
	row = joinRow{Version: rowVersion, Keys: j.keys.seeds(), Inviter: token.Inviter[:], Invite: id[:]}
	if err := b.Set(joinKey(db), wire.Marshal(row)); err != nil {
		return nil, errs.E(op, errs.Other, "", err)
	}
	if err := b.Commit(kv.Sync); err != nil {
		return nil, errs.E(op, errs.Other, "", err)
	}
	return j, nil
}

// TransportKey is the key by which the joining device must prove itself on the connection
// to the inviter.
func (j *Joiner) TransportKey() ed25519.PrivateKey { return j.keys.transport }

// Join asks to be let in, over a stream to the peer token.Inviter. show is called once with
// the code that the person at the inviting device must see too. Join then waits for that
// person, up to ten minutes. It ends the stream.
//
// On success the account is durable in the store. After any error the store has no account,
// and the same Joiner, or a new one with the same token, can try again: if the error was
// Offline or Timeout, it may be that this device was admitted, and the next try finishes
// without asking anybody. Errors that wrap a Reason are decisions.
func (j *Joiner) Join(ctx context.Context, s wire.Stream, show func(code string)) (*Account, error) {
	const op = "share.Join"
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	self := ident.TransportKey(j.keys.transport.Public().(ed25519.PublicKey))
	g := &guest{Joiner: j, talk: newTalk(s, j.token.Inviter, self)}
	g.unlock(j.token.Secret[:])
	a, err := g.join(show)
	if err == nil {
		_ = s.Close()
		return a, nil
	}
	_ = s.Reset()
	if cerr := ctx.Err(); cerr != nil {
		err = cerr
	}
	return nil, errs.E(op, errs.Other, "", err)
}

// guest is the joining side of one conversation.
type guest struct {
	*Joiner
	*talk
}

func (g *guest) join(show func(string)) (*Account, error) {
	device := wire.Marshal(new(g.keys.describe(g.name)))
	_ = g.s.SetDeadline(time.Now().Add(2 * stepTime))
	if err := g.hello(device); err != nil {
		return nil, err
	}
	code := g.shortCode()
	sig := ident.Sign(g.keys.sign, ident.SigJoin, g.proofBody(device))
	if err := g.send(g.ask, wire.Marshal(offerMsg{Device: device, Sig: sig})); err != nil {
		return nil, err
	}
	if show != nil {
		show(code)
	}
	_ = g.s.SetDeadline(time.Now().Add(personTime + finishTime))
	verdict, entries, err := g.verdict()
	if err != nil {
		return nil, err
	}
	a, err := g.settleIn(verdict, entries)
	if err != nil {
		return nil, err
	}
	// Until the inviter knows that we are complete its invitation stays open, for this device, and with it the
	// door: it hangs up when it does.
	err = g.send(g.ask, nil)
	if err == nil {
		_ = g.s.SetDeadline(time.Now().Add(hangUpTime))
		_, err = io.Copy(io.Discard, io.LimitReader(g.s, 1))
	}
	if err != nil {
		g.opt.Log.Info("joined, but the inviting device was perhaps not told", "err", err)
	}
	return a, nil
}

// hello opens the conversation and lets the inviter prove itself.
func (g *guest) hello(device []byte) error {
	id, commit := g.token.id(), sha256.Sum256(device)
	var nonce [nonceLen]byte
	rand.Read(nonce[:])
	hello := append([]byte{joinVersion}, id[:]...)
	hello = append(append(hello, nonce[:]...), commit[:]...)
	if err := g.send(g.ask, hello); err != nil {
		return err
	}
	payload, err := g.expect(g.give, nonceLen)
	if errors.Is(err, Unproven) || err == nil && len(payload) != nonceLen {
		return refused("share.hello", NotInviter)
	}
	return err
}

// verdict waits for the person at the inviter and receives the logs.
func (g *guest) verdict() (verdictMsg, []*entry, error) {
	const op = "share.verdict"
	var v verdictMsg
	payload, err := g.expect(g.give, maxVerdict)
	if err != nil {
		return v, nil, err
	}
	if wire.Unmarshal(payload, &v) != nil {
		return v, nil, refused(op, Malformed)
	}
	_ = g.s.SetDeadline(time.Now().Add(finishTime))
	var out []*entry
	total := 0
	for range v.Frames {
		payload, err := g.expect(g.give, entryFrame+2*maxEntry)
		if err != nil {
			return v, nil, err
		}
		var raws [][]byte
		if total += len(payload); total > maxJoinData || wire.Unmarshal(payload, &raws) != nil || len(raws) == 0 {
			return v, nil, refused(op, Malformed)
		}
		for _, raw := range raws {
			e, err := parseEntry(raw)
			if err != nil {
				return v, nil, err
			}
			out = append(out, e)
		}
	}
	return v, out, nil
}

// settleIn verifies that the logs make an account that has the inviter and this device in
// it and opens to this device, and makes it durable.
func (g *guest) settleIn(verdict verdictMsg, entries []*entry) (*Account, error) {
	const op = "share.settleIn"
	v, err := assemble(entries, g.keys.recipient())
	if err != nil {
		return nil, err
	}
	if string(verdict.Account) != string(v.account.genesis().hash[:]) || string(verdict.Share) != string(v.share.genesis().hash[:]) {
		return nil, refused(op, Malformed)
	}
	if inviter, ok := v.transports[g.token.Inviter]; !ok || v.devices[inviter].Revoked {
		return nil, refused(op, NotInviter)
	}
	if d, ok := v.devices[g.keys.id()]; !ok || d.Revoked {
		return nil, refused(op, Declined)
	}
	if err := vacant(op, g.db); err != nil {
		return nil, err
	}
	return found(g.db, g.keys, entries, g.opt)
}
