package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

func TestPolicies(t *testing.T) {
	c, err := Parse(`
sweep = "refuse"
[[policy]]
program = "borg"
action = "budget"
bytes = "100 MiB"
wait = "5s"
[[policy]]
program = "tracker-*"
action = "allow"
`)
	want := []Policy{{Program: "borg", Action: "budget", Bytes: 100 << 20, Wait: 5 * time.Second}, {Program: "tracker-*", Action: "allow"}}
	if err != nil || c.Sweep != "refuse" || !reflect.DeepEqual(c.Policies, want) {
		t.Errorf("%+v, %v", c, err)
	}
}

// Each error says what to write instead.
func TestPoliciesThatMakeNoSense(t *testing.T) {
	for text, help := range map[string]string{
		`[[policy]]
		action = "allow"`: "say a name",
		`[[policy]]
		program = "/usr/bin/borg"
		action = "allow"`: "without folders",
		`[[policy]]
		program = "[x"
		action = "allow"`: "say a name",
		`[[policy]]
		program = "borg"`: "say allow, exact, budget or refuse",
		`[[policy]]
		program = "borg"
		action = "deny"`: "say allow, exact, budget or refuse",
		`[[policy]]
		program = "borg"
		action = "budget"`: "needs bytes",
		`[[policy]]
		program = "borg"
		action = "refuse"
		bytes = "1GiB"`: `belongs to action = "budget"`,
		`[[policy]]
		program = "borg"
		action = "budget"
		bytes = "many"`: "10GiB",
		`[[policy]]
		program = "borg"
		action = "allow"
		wait = "soon"`: `wait = "5s"`,
		`[[policy]]
		program = "borg"
		action = "allow"
		waits = "5s"`: "program, action, bytes, wait",
		`sweep = "budget"`: "say allow, exact or refuse",
	} {
		if _, err := Parse(text); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), help) {
			t.Errorf("%s\n%v: does not say %q", text, err, help)
		}
	}
}
