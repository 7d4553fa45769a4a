package sim

import (
	"slices"
	"strings"
)

// Shrink returns a script with as few steps and devices as it can find in which the same
// invariant fails, and that failure. It plays the script some hundred times.
func Shrink(s *Script, f *Failure, cfg Config) (*Script, *Failure) {
	try := func(c *Script) bool {
		g := Play(c, cfg, NewStats())
		if g == nil || g.Invariant != f.Invariant {
			return false
		}
		s, f = c, g
		return true
	}
	for _, thorough := range []bool{false, true} { // the cheaper play, if it fails too
		c := s.clone()
		c.Thorough = thorough
		if try(c) {
			break
		}
	}
	for before := -1; before != len(s.Steps); {
		before = len(s.Steps)
		for n := (len(s.Steps) + 1) / 2; n > 0; n /= 2 {
			for at := len(s.Steps) - n; at > -n; at -= n {
				c := s.clone()
				c.Steps = slices.Delete(c.Steps, max(at, 0), at+n)
				try(c)
				at = min(at, len(s.Steps))
			}
		}
		for dev := s.Devices - 1; dev >= 0; dev-- {
			if c := s.without(dev); c != nil {
				try(c)
			}
		}
	}
	for i := range s.Steps { // simpler arguments: whole sessions, large frames, clocks that are right
		x := s.Steps[i]
		for _, args := range [][]string{x.Args[:min(len(x.Args), 1)], {x.arg(0), "100"}} {
			if (x.Op == "pull" || x.Op == "follow") && len(args) == 2 && len(x.Args) > 2 || x.Op == "rename" && len(args) == 2 && len(x.Args) > 2 {
				c := s.clone()
				if x.Op == "rename" {
					args = x.Args[:2]
				}
				c.Steps[i].Args = args
				try(c)
			}
		}
	}
	if c := s.clone(); c.Blind >= 0 {
		c.Blind = -1
		try(c)
	}
	for i := range s.Skew {
		c := s.clone()
		c.Skew[i] = 0
		try(c)
	}
	return s, f
}

func (s *Script) clone() *Script {
	c := *s
	c.Skew, c.Steps = slices.Clone(s.Skew), slices.Clone(s.Steps)
	return &c
}

// without is the script with one device less, if that one does nothing any more.
func (s *Script) without(dev int) *Script {
	if s.Devices == 1 {
		return nil
	}
	c := s.clone()
	c.Devices--
	c.Skew = slices.Delete(c.Skew, dev, dev+1)
	switch {
	case c.Blind == dev:
		c.Blind = -1
	case c.Blind > dev:
		c.Blind--
	}
	for i := range c.Steps {
		x := &c.Steps[i]
		if x.Dev == dev {
			return nil
		}
		if x.Dev > dev && x.Dev < s.Devices {
			x.Dev--
		}
		if (x.Op == "pull" || x.Op == "follow" || x.Op == "garbled") && x.arg(0) != "" {
			from := int(x.arg(0)[0] - 'a')
			if from == dev {
				return nil
			}
			if from > dev && from < s.Devices {
				x.Args = append([]string{deviceName(from - 1)}, x.Args[1:]...)
			}
		}
		for j, a := range x.Args {
			if strings.Contains(a, "(conflict from ") { // names speak of devices
				for k := dev + 1; k < s.Devices; k++ {
					a = strings.ReplaceAll(a, "from "+deviceName(k)+" ", "from "+deviceName(k-1)+" ")
				}
				x.Args = slices.Clone(x.Args)
				x.Args[j] = a
			}
		}
	}
	return c
}
