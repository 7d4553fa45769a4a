package cli

import (
	"context"
	"strings"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

// place runs one of pin, unpin and free on paths as a person typed them, and tells what became
// of each. A path that was refused fails the command after all of them were tried.
func (a *app) place(ctx context.Context, args []string, wait bool,
	do func(context.Context, *client.Client, controlapi.PlaceRequest, *meter) (controlapi.PlaceResult, error),
	text func(controlapi.PlaceItem) string,
) error {
	c, st, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	paths, err := sharePaths(args, st)
	if err != nil {
		return err
	}
	m := a.newMeter()
	res, err := do(ctx, c, controlapi.PlaceRequest{Paths: paths, Wait: wait}, m)
	m.done()
	if err != nil {
		return err
	}
	if res.Items == nil {
		res.Items = []controlapi.PlaceItem{}
	}
	err = a.emit(res, func() {
		for _, it := range res.Items {
			if it.Refused == nil || it.MovedBlocks > 0 {
				a.say("%s: %s", safe(it.Path), text(it))
			}
		}
	})
	if err != nil {
		return err
	}
	return a.astray(a.refusals(res.Items), args, st.Mount.Path)
}

// refusals prints each refusal, and gives the first as the command's error.
func (a *app) refusals(items []controlapi.PlaceItem) error {
	var all []*controlapi.Error
	for _, it := range items {
		if r := it.Refused; r != nil {
			reason := strings.TrimPrefix(r.Reason, it.Path+": ")
			all = append(all, controlapi.E(r.Kind, a.refusalHint(it.Path, r), "%s: %s", it.Path, reason))
		}
	}
	if len(all) == 0 {
		return nil
	}
	if a.json || len(all) == 1 {
		return all[0]
	}
	for _, e := range all {
		a.complain(e)
	}
	return quiet{all[0]}
}

// refusalHint lists the files concerned where they are not the path itself, and what helps.
func (a *app) refusalHint(path string, r *controlapi.Refusal) string {
	hint := ""
	for i, p := range r.Paths {
		if i == 5 {
			hint += count(int64(len(r.Paths)-5), "more", "more") + "\n"
			break
		}
		if p != path {
			hint += p + "\n"
		}
	}
	switch r.Kind {
	case controlapi.KindOnlyCopy:
		if strings.Contains(r.Reason, "shelf sync") {
			break // it says so itself
		}
		hint += "it can be freed once another device has it: " + a.program() + " sync --wait"
	case "offline":
		hint += "this tells which devices are connected: " + a.program() + " devices"
	}
	return hint
}
