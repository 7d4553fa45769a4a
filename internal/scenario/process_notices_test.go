//go:build linux

package scenario

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// Whatever kills the daemon, the command that is told of conflicts hears of each once: also of one
// that arrived just before, and never again of those it has heard of.
func TestNoticesOutliveAKilledDaemon(t *testing.T) {
	a, b := newDevice(t, "a"), newDevice(t, "b").up()
	heard := filepath.Join(t.TempDir(), "heard")
	processActor{a}.onConflict("cat >> " + heard)
	told := func() (names []string) {
		text, err := os.ReadFile(heard)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for dec := json.NewDecoder(strings.NewReader(string(text))); dec.More(); {
			var e controlapi.ConflictEvent
			if err := dec.Decode(&e); err != nil {
				t.Fatal(err)
			}
			for _, c := range e.Conflicts {
				names = append(names, c.Path)
			}
		}
		return names
	}
	b.admit(a)
	a.up()
	for round, name := range []string{"first", "second"} {
		a.write(name, []byte("base"))
		b.shows(name, []byte("base"))
		b.must("down")
		a.write(name, []byte("of a"))
		a.must("down")
		b.up()
		b.write(name, []byte("of b"))
		a.up()
		eventually(t, 30*time.Second, "the conflict is there", func() bool {
			c, err := processActor{a}.conflicts()
			return err == nil && len(c.Conflicts) == round+1
		})
		a.kill() // it waits for a quiet moment before it tells
		if n := len(told()); n != round {
			t.Fatalf("%q: told before it was killed: the test does not bite", told())
		}
		a.up()
		eventually(t, 30*time.Second, "the command is told", func() bool { return len(told()) > round })
		time.Sleep(200 * time.Millisecond) // it is noted when the command has ended
		a.kill()
		a.up()
	}
	time.Sleep(3 * time.Second)
	if got := strings.Join(told(), " "); got != "/first /second" {
		t.Errorf("told of %s", got)
	}
}
