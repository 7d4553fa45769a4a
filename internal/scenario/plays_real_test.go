package scenario

import (
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

// company is a troupe of real actors. To be apart, they go away.
type company struct {
	t      *testing.T
	actors []actor
	up     []bool
}

func newCompany(t *testing.T, s stage) *company {
	c := &company{t: t, up: []bool{true, true, true}}
	make := s(t)
	for i, name := range cast {
		c.actors = append(c.actors, make(name))
		if i == 0 {
			c.actors[0].create()
		} else {
			c.actors[i/2].admit(c.actors[i]) // not always the first device invites
		}
	}
	return c
}

func (c *company) there(who ...int) {
	var going, coming []func()
	for i, a := range c.actors {
		switch is := slices.Contains(who, i); {
		case is && !c.up[i]:
			coming = append(coming, a.back)
		case !is && c.up[i]:
			going = append(going, a.away)
		}
		c.up[i] = slices.Contains(who, i)
	}
	for _, all := range [][]func(){going, coming} { // or who goes would meet who comes
		var wg sync.WaitGroup
		for _, do := range all {
			wg.Go(do)
		}
		wg.Wait()
	}
}

func (c *company) alone(who int) {
	c.there()
	time.Sleep(2 * time.Millisecond) // the clock is later than at any other device's work
	c.there(who)
}

func (c *company) moment(a, b int) {
	c.there()
	c.there(a, b)
	c.there()
}

func (c *company) meet(...int)             {} // they do by themselves
func (c *company) year()                   {} // only the plays' other times apart
func (c *company) check() error            { return nil }
func (c *company) patience() time.Duration { return 30 * time.Second }

func (c *company) backUp(who int) {
	c.there()
	home := c.actors[who].(settler).homeDir()
	c.copyDisk(home, home+".backup")
}

func (c *company) putBack(who int) {
	c.there()
	home := c.actors[who].(settler).homeDir()
	if err := os.RemoveAll(home); err != nil {
		c.t.Fatal(err)
	}
	c.copyDisk(home+".backup", home) // other files than those it was made from
}

func (c *company) copyDisk(from, to string) {
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		c.t.Fatalf("%v\n%s", err, out)
	}
}

func (c *company) player(who int, dir string) *player {
	a := c.actors[who]
	return &player{Sys: a.sys(), dir: dir, settle: a.(settler).resolve}
}

func (c *company) beside(who int) (map[string]bool, error) {
	all, err := c.actors[who].(settler).conflicts()
	out := map[string]bool{}
	for _, x := range all.Conflicts {
		for _, v := range x.Versions[1:] {
			out[v.Path] = true
		}
	}
	return out, err
}
