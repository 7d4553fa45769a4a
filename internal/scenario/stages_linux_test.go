package scenario

import (
	"errors"
	"testing"

	"github.com/shelffs/shelf/fs/fstest"
)

func stages() map[string]stage {
	return map[string]stage{
		"memory": memoryStage,
		"processes": func(t *testing.T) func(string) actor {
			return func(name string) actor { return processActor{newDevice(t, name)} }
		},
	}
}

// processActor is a device of the process tests.
type processActor struct{ *device }

func (p processActor) create() { p.up() }
func (p processActor) admit(other actor) {
	p.device.admit(other.(processActor).device)
	other.(processActor).up()
}
func (p processActor) away()           { p.must("down") }
func (p processActor) back()           { p.up() }
func (p processActor) sys() fstest.Sys { return fstest.OS(p.mnt) }
func (p processActor) blocksIn() int64 { return p.status().Transferred.BlocksIn }
func (p processActor) pin(path string) error {
	if out, code := p.try("pin", path); code != 0 {
		return errors.New(out)
	}
	return nil
}
