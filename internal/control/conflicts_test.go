package control_test

import (
	"context"
	"testing"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// resolver is a Daemon that knows conflicts.
type resolver struct {
	stub
	asked controlapi.ResolveRequest
}

func (r *resolver) Conflicts(_ context.Context, path string) (controlapi.Conflicts, error) {
	return controlapi.Conflicts{Path: path, Conflicts: []controlapi.NameConflict{{Path: path + "/x", Mine: 1}}}, nil
}

func (r *resolver) Resolve(_ context.Context, q controlapi.ResolveRequest) (controlapi.ResolveResult, error) {
	r.asked = q
	return controlapi.ResolveResult{Items: []controlapi.ResolveItem{{Path: q.Paths[0], Refused: &controlapi.Refusal{Kind: "not_exist"}}}}, nil
}

func TestConflictsAndResolve(t *testing.T) {
	d := &resolver{}
	c, _, _ := serve(t, d)
	all, err := c.Conflicts(t.Context(), "/a b")
	if err != nil || all.Path != "/a b" || len(all.Conflicts) != 1 || all.Conflicts[0].Path != "/a b/x" || all.Conflicts[0].Mine != 1 {
		t.Errorf("%+v %v", all, err)
	}
	q := controlapi.ResolveRequest{Paths: []string{"/x"}, Keep: controlapi.KeepTheirs, All: true}
	res, err := c.Resolve(t.Context(), q)
	if err != nil || len(res.Items) != 1 || res.Items[0].Refused.Kind != "not_exist" || d.asked.Keep != "theirs" || !d.asked.All {
		t.Errorf("%+v %v, asked %+v", res, err, d.asked)
	}
	for _, bad := range [][]string{nil, {"x"}, {"/x", "/a/../b"}} {
		if _, err := c.Resolve(t.Context(), controlapi.ResolveRequest{Paths: bad, Keep: "mine"}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := c.Conflicts(t.Context(), "x"); !errs.Is(err, errs.Invalid) {
		t.Errorf("%v", err)
	}
}
