package daemon

import (
	"runtime"

	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/namespace"
)

// rules are those for names in the mount. The word was checked where it was read.
func rules(s config.Start) alias.Rules {
	r, _ := alias.Parse(s.Names, runtime.GOOS)
	return r
}

// spelling is what the namespace must find names by; nil where every name is one of its own.
func spelling(s config.Start) namespace.Spelling {
	if r := rules(s); r.Folds() {
		return r
	}
	return nil
}
