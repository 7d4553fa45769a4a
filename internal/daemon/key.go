package daemon

import (
	"path/filepath"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/keystore"
)

// KeyPlace says where the key of a home lies, in words that follow "is"; "" when it has none yet. No daemon
// need run.
func KeyPlace(h config.Home) (string, error) {
	how, err := keystore.Kept(h.Dir())
	switch {
	case errs.Is(err, errs.NotExist):
		return "", nil
	case err != nil:
		return "", err
	case how == keystore.HowKeyring:
		return "in the keyring of this system", nil
	}
	return "in the file " + filepath.Join(h.Dir(), "key"), nil
}
