package daemon

import (
	"context"

	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

// Usage implements control.Reporter.
func (d *daemon) Usage(ctx context.Context, path string, fetch bool) (controlapi.Usage, error) {
	path = d.fs.Spell(path)
	e, err := d.resolve(path)
	if err != nil {
		return controlapi.Usage{}, err
	}
	u := controlapi.Usage{Path: path}
	var want *wanting
	if fetch {
		u.Fetch = &controlapi.UsageFetch{}
		want = &wanting{d: d, out: u.Fetch, pace: d.paces()}
	}
	for _, e := range d.placement.Files(e.ID) {
		if err := ctx.Err(); err != nil {
			return u, err
		}
		f := d.localFile(ctx, e)
		u.Files++
		u.Bytes += int64(e.Content.Size)
		u.Local += f.plain
		if want != nil && !f.complete {
			want.add(ctx, f)
		}
	}
	if want != nil {
		want.ask(ctx)
	}
	return u, nil
}

// paces is how quickly each connected device gives, by its id in text.
func (p *parts) paces() map[string]fetch.Rank {
	out := map[string]fetch.Rank{}
	for _, r := range p.fetcher.Ranking() {
		if r.Connected {
			out[r.Device.String()] = r
		}
	}
	return out
}

// wanting sums up what files that are not here take to be fetched.
type wanting struct {
	d     *daemon
	out   *controlapi.UsageFetch
	pace  map[string]fetch.Rank
	group []localFile // many in one question to other devices
	asked int
}

func (w *wanting) add(ctx context.Context, f localFile) {
	w.group, w.asked = append(w.group, f), w.asked+len(f.blocks)
	if w.asked >= askBlocks {
		w.ask(ctx)
	}
}

// ask finds out who has the files of the group.
func (w *wanting) ask(ctx context.Context) {
	if len(w.group) == 0 {
		return
	}
	for i, copies := range w.d.copiesOf(ctx, w.group) {
		f := w.group[i]
		bytes := int64(f.entry.Content.Size) - f.plain
		w.out.Files++
		w.out.Bytes += bytes
		seconds, ok := w.quickest(copies, bytes)
		if !ok {
			w.out.AwayFiles++
			w.out.AwayBytes += bytes
			continue
		}
		if w.out.Seconds == nil {
			w.out.Seconds = new(float64)
		}
		*w.out.Seconds += seconds
	}
	w.group, w.asked = nil, 0
}

// quickest is how long the quickest of the connected devices that have a file, or the beginning of it as
// far as can be told, would take: to give the list of its blocks, and these.
func (w *wanting) quickest(copies []controlapi.Copy, bytes int64) (seconds float64, ok bool) {
	for _, c := range copies {
		pace, known := w.pace[c.Device]
		if c.Self || !c.Connected || !known {
			continue
		}
		s := float64(bytes)/pace.Likely + 2*pace.RTT.Seconds()
		if !ok || s < seconds {
			seconds, ok = s, true
		}
	}
	return seconds, ok
}
