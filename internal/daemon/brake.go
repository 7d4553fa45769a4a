package daemon

import (
	"context"
	"strings"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// brakeOf is the policy that a start asks for.
func brakeOf(s config.Start) namespace.Brake {
	if s.NoBrake {
		return namespace.Brake{}
	}
	return namespace.DefaultBrake
}

// Brake implements control.Braker.
func (d *daemon) Brake(context.Context) (controlapi.Brake, error) {
	out := controlapi.Brake{Held: []controlapi.Hold{}, HeldBy: []string{}}
	for _, h := range d.names.Held() {
		out.Held = append(out.Held, controlapi.Hold{
			ID: h.Writer.Device.String(), Name: d.account.Name(h.Writer.Device), Files: h.Files, Waiting: h.Upto - h.From + 1, Since: h.Since,
		})
	}
	for _, dev := range d.names.HeldBy() {
		out.HeldBy = append(out.HeldBy, d.account.Name(dev))
	}
	return out, nil
}

// Release implements control.Braker.
func (d *daemon) Release(_ context.Context, req controlapi.ReleaseRequest) (controlapi.ReleaseResult, error) {
	out := controlapi.ReleaseResult{Released: []string{}}
	meant := func(dev ident.DeviceID) bool {
		return req.Device == "" || req.Device == d.account.Name(dev) || strings.HasPrefix(dev.String(), req.Device)
	}
	release := func(w ident.Writer, upto uint64) error {
		if !meant(w.Device) {
			return nil
		}
		out.Released = append(out.Released, d.account.Name(w.Device))
		return d.account.Release(w, upto)
	}
	for _, h := range d.names.Held() {
		if err := release(h.Writer, h.Upto); err != nil {
			return out, err
		}
	}
	if len(d.names.HeldBy()) > 0 {
		if err := release(d.names.Writer(), d.names.Written()); err != nil {
			return out, err
		}
	}
	if len(out.Released) == 0 {
		what := "nothing is held back"
		if req.Device != "" {
			what = "nothing of " + req.Device + " is held back"
		}
		return out, controlapi.E(controlapi.SlugOf(errs.NotExist), "see: shelf brake", "%s", what)
	}
	err := d.names.ReleasesChanged()
	d.conflicts.changed()
	d.replicator.Renew()
	return out, err
}

// brakeWarnings says what is held back, and the way out.
func (d *daemon) brakeWarnings() (out []string) {
	for _, h := range d.names.Held() {
		out = append(out, "So many changes came from "+d.account.Name(h.Writer.Device)+" that further ones are held back ("+
			count(h.Files, "file was", "files were")+" removed or overwritten). If that was meant: shelf brake release")
	}
	if by := d.names.HeldBy(); len(by) > 0 {
		out = append(out, count(len(by), "other device holds", "other devices hold")+" back what was removed or overwritten here, because it is so much. If that was meant: shelf brake release")
	}
	return out
}
