package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

// replaced is an account without contents that was put aside for a join, so that it can be
// put back. nil when there was none.
type replaced struct {
	dir   string   // HOME/replaced-DATE
	moved []string // names in the home
	was   controlapi.Status
	ran   bool // its daemon ran before
}

// aside is where it lies, or "".
func (r *replaced) aside() string {
	if r == nil {
		return ""
	}
	return r.dir
}

// mountpoint is where it was mounted, or "".
func (r *replaced) mountpoint() string {
	if r == nil {
		return ""
	}
	return r.was.Mount.Path
}

// existing makes room in the home for a join: it puts aside an account that has nothing in it
// and no other device. An account in use is KindHasAccount. Without one it returns nil.
func (a *app) existing(ctx context.Context, s config.Start) (*replaced, error) {
	c, st, err := a.connect(ctx)
	ran := err == nil
	if isKind(err, controlapi.KindNotRunning) {
		if !a.home.HasState() {
			return nil, a.cleanUp(ctx)
		}
		c, st, err = a.peek(ctx, s)
		if isKind(err, controlapi.KindNoAccount) { // what a join that failed has left
			return nil, a.cleanUp(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if st.Account.Devices > 1 || st.Files > 0 {
		if !ran {
			_ = a.stopAndWait(ctx, c)
		}
		return nil, controlapi.E(controlapi.KindHasAccount,
			"to join with another home on this machine: shelf --home OTHER join TOKEN\n"+
				"to leave this account for good: "+a.program()+" down, then move "+a.home.Dir()+" away",
			"this home belongs to an account already (%s, %s)",
			count(int64(st.Account.Devices), "device", "devices"), files(st.Files))
	}
	if err := a.stopAndWait(ctx, c); err != nil {
		return nil, err
	}
	r := &replaced{was: st, ran: ran}
	if err := r.putAside(a.home); err != nil {
		r.restore(a, s)
		return nil, err
	}
	return r, nil
}

// peek starts the daemon just to ask it about its account.
func (a *app) peek(ctx context.Context, s config.Start) (*client.Client, controlapi.Status, error) {
	s.Token, s.Mountpoint, s.Create = "", "", false
	if _, err := a.spawn(ctx, s, nil); err != nil {
		return nil, controlapi.Status{}, err
	}
	return a.connect(ctx)
}

// stopAndWait ends the daemon that c talks to.
func (a *app) stopAndWait(ctx context.Context, c *client.Client) error {
	if err := c.Stop(ctx, controlapi.StopRequest{}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	return a.home.WaitUnlocked(ctx)
}

// putAside moves the state, but not the key that opens it: the joined state uses the same.
func (r *replaced) putAside(h config.Home) error {
	base := filepath.Join(h.Dir(), "replaced-"+time.Now().Format("2006-01-02"))
	for n := 'a'; ; n++ {
		r.dir = base
		if n > 'a' {
			r.dir = base + string(n)
		}
		err := os.Mkdir(r.dir, 0o700)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) || n == 'z' {
			return controlapi.E("error", "", "cannot put the unused account aside: %s", err)
		}
	}
	for _, p := range h.StateDirs() {
		err := os.Rename(p, filepath.Join(r.dir, filepath.Base(p)))
		if err == nil {
			r.moved = append(r.moved, p)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return controlapi.E("error", "", "cannot put the unused account aside: %s", err)
		}
	}
	return nil
}

// restore puts the account back after a join that failed, and starts it as it was. It tells
// what it cannot do.
func (r *replaced) restore(a *app, s config.Start) {
	if r == nil {
		return
	}
	for _, p := range r.moved {
		err := os.RemoveAll(p) // what the failed join has made
		if err == nil {
			err = os.Rename(filepath.Join(r.dir, filepath.Base(p)), p)
		}
		if err != nil {
			a.note("The account that was here could not be put back from %s: %s", r.dir, err)
			return
		}
	}
	_ = os.Remove(r.dir)
	if !r.ran {
		return
	}
	// The join may have been interrupted; what was there comes back all the same.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s.Token, s.Mountpoint, s.Create = "", r.was.Mount.Path, false
	if _, err := a.spawn(ctx, s, nil); err != nil {
		a.note("The account that was here is back, but its daemon did not start: %s", safe(err.Error()))
	}
}
