package cli

import (
	"context"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

func (d *fakeDaemon) Ledger(_ context.Context, q controlapi.LedgerRequest) (controlapi.Ledger, error) {
	l := controlapi.Ledger{Runs: []controlapi.LedgerRun{}}
	add := func(r controlapi.LedgerRun) {
		if (q.Program == "" || q.Program == r.Program) && (q.Path == "" || q.Path == "/") && (q.Since == 0 || q.Since > time.Hour) {
			r.First, r.Last = fakeNow, fakeNow
			l.Runs = append(l.Runs, r)
		}
	}
	add(controlapi.LedgerRun{Run: 8, Program: "cat", PID: 77, Parent: "find", Action: "allow", Sweep: true, Files: 2, Read: 3 << 20, Ahead: 1 << 20,
		From:  []controlapi.LedgerSource{{Device: "d2", Name: "nas", Bytes: 3 << 20}, {Device: "d3", Name: "phone", Bytes: 1 << 20}},
		Items: []controlapi.LedgerItem{{Path: "/a", Read: 1 << 20, Ahead: 1 << 20, From: []controlapi.LedgerSource{{Device: "d2", Name: "nas", Bytes: 2 << 20}}, First: fakeNow, Last: fakeNow}, {Read: 2 << 20, First: fakeNow, Last: fakeNow}}})
	add(controlapi.LedgerRun{Run: 7, Program: "updatedb", PID: 76, Action: "refuse", Refused: 12, Items: []controlapi.LedgerItem{}})
	return l, nil
}

func (d *fakeDaemon) Heat(_ context.Context, q controlapi.HeatRequest) (controlapi.Heat, error) {
	if q.Path == "/off" {
		return controlapi.Heat{Files: []controlapi.HeatItem{}, Folders: []controlapi.HeatItem{}}, nil
	}
	used := time.Now().Add(-3 * time.Hour)
	return controlapi.Heat{Status: &controlapi.HeatStatus{Budget: 2 << 30, Room: 1 << 30, Files: 2, Bytes: 30 << 20},
		Files: []controlapi.HeatItem{
			{Path: "/a/thesis", Heat: 9.25, Used: &used, Kept: "used here", Placement: "automatic", Complete: true},
			{Path: "/song", Heat: 1, Used: &used, Placement: "pinned"},
			{Path: "/a/notes", Kept: "used on desk\x1b[2Jtop", Placement: "automatic"}},
		Folders: []controlapi.HeatItem{{Path: "/", Heat: 10.25, Used: &used}, {Path: "/a", Heat: 9.25, Used: &used}}}, nil
}

func (d *fakeDaemon) UndoRun(_ context.Context, q controlapi.UndoRunRequest) (controlapi.RunUndone, error) {
	if q.Run != 8 {
		return controlapi.RunUndone{}, controlapi.E("not_exist", "see: shelf ledger", "there is no run %d", q.Run)
	}
	return controlapi.RunUndone{Run: 8, Program: "cat", Files: 2, FreedBlocks: 3, FreedBytes: 3 << 20, KeptFiles: 1}, nil
}

func (d *fakeDaemon) Usage(_ context.Context, path string, fetch bool) (controlapi.Usage, error) {
	if path == "/gone" {
		return controlapi.Usage{}, errs.E("fake", errs.NotExist, path, nil)
	}
	u := controlapi.Usage{Path: path, Files: 1200, Bytes: 9 << 30, Local: 1 << 30}
	if fetch {
		u.Fetch = &controlapi.UsageFetch{Files: 800, Bytes: 8 << 30, Seconds: new(150.0)}
	}
	if fetch && path == "/away" {
		u.Fetch = &controlapi.UsageFetch{Files: 2, Bytes: 8 << 20, AwayFiles: 2, AwayBytes: 8 << 20}
	}
	return u, nil
}
