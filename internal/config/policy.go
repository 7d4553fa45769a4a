package config

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// Policy says what a program may bring to this device of what is not here.
type Policy struct {
	Program string        `json:"program"`           // a name, or a pattern with * and ?
	Action  string        `json:"action"`            // allow, exact, budget, refuse
	Bytes   int64         `json:"bytes,omitempty"`   // budget: in an hour
	Wait    time.Duration `json:"wait_ns,omitempty"` // how long a read waits at most; 0: as for anybody
}

// policyTable is a Policy as it is written:
//
//	[[policy]]
//	program = "borg"
//	action = "budget"
//	bytes = "100MiB"
//	wait = "5s"
type policyTable struct {
	Program string `toml:"program"`
	Action  string `toml:"action"`
	Bytes   any    `toml:"bytes"`
	Wait    string `toml:"wait"`
}

// maxWait is the longest wait that makes sense to set.
const maxWait = time.Hour

func (t policyTable) policy() (p Policy, err error) {
	p = Policy{Program: t.Program, Action: t.Action}
	bad := func(format string, args ...any) (Policy, error) {
		return p, errs.E("config.Policy", errs.Invalid, "program "+strconv.Quote(t.Program), fmt.Errorf(format, args...))
	}
	if _, err := path.Match(t.Program, ""); err != nil || t.Program == "" || strings.Contains(t.Program, "/") {
		return bad(`say a name or a pattern without folders, for example program = "borg" or program = "tracker-*"`)
	}
	switch t.Action {
	case "allow", "exact", "refuse":
		if t.Bytes != nil {
			return bad(`bytes belongs to action = "budget"`)
		}
	case "budget":
		if t.Bytes == nil {
			return bad(`action = "budget" needs bytes, for example bytes = "100MiB": so much in an hour`)
		}
		if p.Bytes, err = ParseSize(fmt.Sprint(t.Bytes)); err != nil {
			return p, err
		}
	default:
		return bad("action %s: say allow, exact, budget or refuse", strconv.Quote(t.Action))
	}
	if t.Wait != "" {
		if p.Wait, err = time.ParseDuration(t.Wait); err != nil || p.Wait <= 0 || p.Wait > maxWait {
			return bad(`wait %s: say, for example, wait = "5s"; at most "1h"`, strconv.Quote(t.Wait))
		}
	}
	return p, nil
}

// CheckSweep accepts what becomes of a program that nothing is said about and that brings very many
// files: allow, exact or refuse.
func CheckSweep(s string) error {
	switch s {
	case "allow", "exact", "refuse":
		return nil
	}
	return errs.E("config.CheckSweep", errs.Invalid, "sweep "+strconv.Quote(s), errors.New("say allow, exact or refuse"))
}
