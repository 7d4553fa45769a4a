//go:build !linux

package hydration

// System knows no processes here: every program is let in.
func System() Processes { return none{} }

type none struct{}

func (none) Look(uint32) (Process, bool) { return Process{}, false }
func (none) Args(uint32) []string        { return nil }
