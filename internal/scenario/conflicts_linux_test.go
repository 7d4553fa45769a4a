package scenario

import (
	"encoding/json"
	"errors"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (p processActor) conflicts() (c controlapi.Conflicts, err error) {
	out, code := p.try("conflicts", "--json")
	if code != 0 {
		return c, errors.New(out)
	}
	return c, json.Unmarshal([]byte(out), &c)
}

func (p processActor) resolve(path, keep string) error {
	if out, code := p.try("resolve", path, "--keep", keep); code != 0 {
		return errors.New(out)
	}
	return nil
}

func (p processActor) onConflict(command string) string {
	p.t.Helper()
	p.settings("on_conflict = '" + command + "'\n")
	return p.home
}

func (p processActor) homeDir() string { return p.home }

func (p processActor) words(command string) string { return p.must(command) }
